"""The `triton` package without a GPU: its modules, made of kernels that run in Python."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._triton import has_triton_package

from verifier.probe.child.triton_language import cdiv, language
from verifier.probe.child.triton_launch import Config, Kernel, TensorDescriptor, autotune, heuristics, jit


def next_power_of_2(n: int) -> int:
    return 1 << max(int(n) - 1, 0).bit_length()


def _set_allocator(*_: Any, **__: Any) -> None:
    return None


def _bench(function: Callable[[], Any], *_: Any, **__: Any) -> float:
    function()
    return 1.0


_MEMBERS: dict[str, Any] = {
    "jit": jit,
    "autotune": autotune,
    "heuristics": heuristics,
    "Config": Config,
    "JITFunction": Kernel,
    "Autotuner": Kernel,
    "KernelInterface": Kernel,
    "cdiv": cdiv,
    "next_power_of_2": next_power_of_2,
    "TensorDescriptor": TensorDescriptor,
    "set_allocator": _set_allocator,
    "do_bench": _bench,
    "__version__": "3.5.0",
}


def module(name: str) -> types.ModuleType:
    """The stand-in for `triton` or one of its submodules."""
    if name.startswith("triton.language"):
        return language(name)
    made = types.ModuleType(name)
    made.__path__ = []
    vars(made).update(_MEMBERS)
    if name == "triton":
        made.language = language("triton.language")  # type: ignore[attr-defined]
    return made


def _own_kernels(function: Any) -> Any:
    """`torch.library.wrap_triton`: the kernel itself."""
    return function


def _keep_from_torch() -> None:
    """Torch remembers the answer: it has no Triton, installed or not; the script has."""
    real = sys.modules.get("triton")
    sys.modules["triton"] = None  # type: ignore[assignment]
    try:
        has_triton_package()
    finally:
        del sys.modules["triton"]
        if real is not None:
            sys.modules["triton"] = real


def install() -> None:
    """Let torch's registration of operators take kernels and bodies that were written for CUDA."""
    _keep_from_torch()
    library = torch.library
    define_op = library.custom_op

    def custom_op(name: str, fn: Any = None, /, **kwargs: Any) -> Any:
        kwargs.pop("device_types", None)
        kwargs.setdefault("mutates_args", ())
        return define_op(name, fn, **kwargs)

    def triton_op(name: str, fn: Any = None, /, *, mutates_args: Any = (), schema: Any = None) -> Any:
        return custom_op(name, fn, mutates_args=mutates_args, schema=schema)

    library.custom_op = custom_op
    library.triton_op = triton_op
    library.wrap_triton = _own_kernels
    register: Callable[..., Any] = library.Library.impl

    def impl(self: Any, op_name: Any, fn: Any, dispatch_key: str = "", **kwargs: Any) -> Any:
        done = register(self, op_name, fn, dispatch_key, **kwargs)
        if (dispatch_key or self.dispatch_key) == "CUDA":
            name = op_name if isinstance(op_name, str) else op_name.name()
            full = name if "::" in name else f"{self.ns}::{name}"
            if not torch._C._dispatch_has_kernel_for_dispatch_key(full, "CPU"):
                register(self, op_name, fn, "CPU", **kwargs)
        return done

    library.Library.impl = impl  # type: ignore[method-assign]
