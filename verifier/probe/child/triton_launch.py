"""Kernels and their launches: the body that the script wrote is what runs, in Python, program by program.

A stand-in by kernel name would compute what the name promises; only the body says what the kernel does.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import linecache
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from verifier.probe.child.triton_block import Descriptor, Memories, block
from verifier.probe.child.triton_language import RUNNING, constexpr
from verifier.probe.child.uses import used


class TensorDescriptor:
    """`triton.tools.tensor_descriptor.TensorDescriptor`: a tensor and the shape of its tiles."""

    def __init__(
        self, base: Tensor, shape: Any, strides: Any, block_shape: Any, padding: str = "zero"
    ) -> None:
        self.base, self.shape, self.strides, self.block_shape = base, shape, strides, block_shape
        self.padding = padding

    @staticmethod
    def from_tensor(tensor: Tensor, block_shape: Any, padding: str = "zero") -> TensorDescriptor:
        return TensorDescriptor(tensor, list(tensor.shape), list(tensor.stride()), block_shape, padding)


class Config:
    """`triton.Config`: one choice of compile-time arguments."""

    def __init__(self, kwargs: Mapping[str, Any], *_: Any, pre_hook: Any = None, **__: Any) -> None:
        self.kwargs, self.pre_hook = dict(kwargs), pre_hook


class Kernel:
    """What `@triton.jit` makes of a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.fn = self.__wrapped__ = function
        functools.update_wrapper(self, function)
        self.arg_names = list(inspect.signature(function).parameters)
        self._constant = {
            name
            for name, parameter in inspect.signature(function).parameters.items()
            if parameter.annotation is constexpr or "constexpr" in str(parameter.annotation)
        }
        self._configs: list[Config] = []
        self._computed: dict[str, Callable[[dict[str, Any]], Any]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """One kernel calling another as a function."""
        return self.fn(*args, **kwargs)

    def __getitem__(self, grid: Any) -> Callable[..., None]:
        return functools.partial(self.run, grid=grid)

    def tuned(self, configs: list[Config]) -> Kernel:
        self._configs = list(configs)
        return self

    def computed(self, values: Mapping[str, Callable[[dict[str, Any]], Any]]) -> Kernel:
        self._computed.update(values)
        return self

    def run(self, *args: Any, grid: Any, **kwargs: Any) -> None:
        used(f"triton kernel {self.fn.__name__}")
        given = {**dict(zip(self.arg_names, args, strict=False)), **kwargs}
        if self._configs:
            given.update(self._configs[0].kwargs)
            if self._configs[0].pre_hook is not None:
                self._configs[0].pre_hook(given)
        given.update({name: compute(given) for name, compute in self._computed.items()})
        signature = inspect.signature(self.fn)
        bound = signature.bind(**{name: given[name] for name in self.arg_names if name in given})
        bound.apply_defaults()
        sizes = grid(given) if callable(grid) else grid
        sizes = (sizes,) if isinstance(sizes, int) else tuple(int(each) for each in sizes)
        self._execute(bound.arguments, (*sizes, 1, 1)[:3])

    def _execute(self, arguments: Mapping[str, Any], sizes: tuple[int, ...]) -> None:
        memories = Memories()
        # Reading a tensor's memory is not an operation of the script; infinities are not errors.
        with torch._C.DisableTorchFunction(), np.errstate(all="ignore"):
            values = {
                name: value if name in self._constant else _device_value(value, memories)
                for name, value in arguments.items()
            }
            outer = RUNNING.index, RUNNING.grid
            RUNNING.grid = (sizes[0], sizes[1], sizes[2])
            try:
                for z, y, x in itertools.product(*(range(each) for each in reversed(sizes))):
                    RUNNING.index = (x, y, z)
                    self.fn(**values)
            except Exception as error:
                error.add_note(f"in Triton kernel {self.fn.__name__}, {_where(self.fn, error)}")
                raise
            finally:
                RUNNING.index, RUNNING.grid = outer
                memories.flush()


def _device_value(value: Any, memories: Memories) -> Any:
    """An argument as the kernel sees it."""
    if isinstance(value, Tensor):
        return memories.pointer(value)
    if isinstance(value, TensorDescriptor):
        return Descriptor(memories.pointer(value.base), value.shape, value.strides, value.block_shape)
    if isinstance(value, bool):
        return block(np.bool_(value))
    if isinstance(value, int):
        return block(np.int64(value))
    if isinstance(value, float):
        return block(np.float32(value))
    return value


def _where(function: Any, error: Exception) -> str:
    code = function.__code__
    trace: types.TracebackType | None = error.__traceback__
    line = code.co_firstlineno
    while trace is not None:
        if trace.tb_frame.f_code is code:
            line = trace.tb_lineno
        trace = trace.tb_next
    text = linecache.getline(code.co_filename, line).strip()
    return f"{Path(code.co_filename).name}:{line}: {text}"


def jit(function: Any = None, **_: Any) -> Any:
    """`@triton.jit`, with and without arguments."""
    return Kernel(function) if function is not None else Kernel


def autotune(configs: list[Config], *_: Any, **__: Any) -> Callable[[Kernel], Kernel]:
    """`@triton.autotune`: nothing is timed, the first configuration is taken."""
    return lambda kernel: kernel.tuned(configs)


def heuristics(values: Mapping[str, Callable[[dict[str, Any]], Any]]) -> Callable[[Kernel], Kernel]:
    return lambda kernel: kernel.computed(values)
