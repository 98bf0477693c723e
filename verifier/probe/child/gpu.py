"""Run a CUDA script on a real GPU: its kernels, its precision; what can be made repeatable is.

Nothing is redirected and no library that is installed is replaced. Compilation is skipped, since it takes
minutes and changes no result that matters here, and inference mode is `no_grad`, because the shadow writes on
the tensors that it follows.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from typing import Any

import torch

from verifier.probe.child import devices
from verifier.probe.child.uses import stand_in


def keep(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The call as it is: nothing is redirected."""
    return args, kwargs


def install() -> None:
    """Prepare torch; call before the first tensor is made on the GPU."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may sum in another order
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    warnings.filterwarnings("ignore", message=".*deterministic.*")
    devices.skip_compilation()
    devices.keep_all_attention()  # the one kind that a script asks for may not do the audit's small heads
    stand_in(torch.cuda, graph=lambda *_, **__: contextlib.nullcontext())
