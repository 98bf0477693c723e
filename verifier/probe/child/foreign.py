"""Libraries that exist only on GPU machines, answered by stand-ins.

What launches kernels on a GPU is answered before any installed package is asked: a machine that has one
must run the same as one that has none. The rest is used only when the real package cannot be imported.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

from verifier.probe.child import attention, delta, dynamo, jit, mamba, optional, programs, triton_stub

Builder = Callable[[str], types.ModuleType]

KERNELS: dict[str, Builder] = {
    "causal_conv1d": mamba.module,
    "causal_conv1d_cuda": mamba.module,
    "fla": delta.module,
    "flash_attn": attention.module,
    "flash_attn_3": attention.module,
    "flash_attn_interface": attention.module,
    "hopper": attention.module,
    "kernels": attention.kernel_hub,
    "mamba_ssm": mamba.module,
    "selective_scan_cuda": mamba.module,
    "triton": triton_stub.module,
}
"""Top-level package to the builder of it and of its submodules: packages that need a GPU."""
MISSING: dict[str, Builder] = {
    "numba": jit.module,
    "tqdm": optional.progress,
    "wandb": optional.logger,
}
"""The same for packages that a machine may lack."""


class _Module(types.ModuleType):
    """What has no stand-in becomes a module when it is imported by name; called, it says so."""

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError(f"{self.__name__} has no stand-in")


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes the modules of `builders`."""

    def __init__(self, builders: Mapping[str, Builder]) -> None:
        self._builders = builders

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in self._builders:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        made = self._builders[spec.name.partition(".")[0]](spec.name)
        made.__class__ = _Module
        return made

    def exec_module(self, module: types.ModuleType) -> None:
        return None

    def invalidate_caches(self) -> None:
        return None


def install(hub: Builder) -> None:
    """Offer the stand-ins to every later import; `hub` builds the one for downloads."""
    triton_stub.install()
    dynamo.install()
    programs.install()
    for name in [each for each in sys.modules if each.partition(".")[0] in KERNELS]:
        del sys.modules[name]  # what torch has imported of it stays with torch
    sys.meta_path.insert(0, Finder({**KERNELS, "huggingface_hub": hub}))
    sys.meta_path.append(Finder(MISSING))


def install_missing(hub: Builder) -> None:
    """On a GPU: only what cannot be imported is answered, and what is installed runs as it is."""
    programs.install()
    sys.meta_path.append(Finder({**KERNELS, **MISSING, "huggingface_hub": hub}))
