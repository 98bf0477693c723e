"""Libraries that exist only on GPU machines, answered by stand-ins.

Each is used only when the real one cannot be imported: the finder below stands last in `sys.meta_path`, so
it is asked when every other one has given up.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable
from typing import Any

from verifier.probe.child import attention, delta, dynamo, mamba, optional, programs, triton_stub

Builder = Callable[[str], types.ModuleType]

STAND_INS: dict[str, Builder] = {
    "causal_conv1d": mamba.module,
    "causal_conv1d_cuda": mamba.module,
    "fla": delta.module,
    "flash_attn": attention.module,
    "flash_attn_3": attention.module,
    "flash_attn_interface": attention.module,
    "hopper": attention.module,
    "mamba_ssm": mamba.module,
    "selective_scan_cuda": mamba.module,
    "triton": triton_stub.module,
    "tqdm": optional.progress,
    "wandb": optional.logger,
}
"""Top-level package to the builder of it and of its submodules."""


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes a missing module of `STAND_INS`."""

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in STAND_INS:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return STAND_INS[spec.name.partition(".")[0]](spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        return None

    def invalidate_caches(self) -> None:
        return None


def install() -> None:
    """Offer the stand-ins to every later import."""
    triton_stub.install()
    dynamo.install()
    programs.install()
    sys.meta_path.append(Finder())
