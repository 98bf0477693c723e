"""Where and how a model runs: device, dtype, compilation. Nothing here is decided at import."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from pgolf.model import GPT


class LossFn(Protocol):
    """`GPT.loss`, compiled or not."""

    def __call__(self, input_ids_BT: Tensor, target_ids_BT: Tensor, reduction: Any = "mean") -> Tensor: ...


def pick_device(name: str = "auto") -> torch.device:
    """`auto` is CUDA where there is one, else the CPU. ValueError on a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"unknown device {name!r}; expected auto, cpu or cuda") from None
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device {name!r} is not supported; expected auto, cpu or cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name!r} asked for, but this PyTorch sees no CUDA device; use --device cpu")
    return device


def place(model: GPT, device: torch.device) -> GPT:
    """Move a model to `device`: it computes in bf16 and fused on CUDA, in fp32 and as written on a CPU."""
    model.compute_dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    model.to(device)
    if device.type == "cuda":
        model.fuse()
    return model


def loss_fn(model: GPT, *, compiled: bool | None = None) -> LossFn:
    """The model's loss as a function; compiled on CUDA unless told otherwise."""
    if compiled if compiled is not None else model.device.type == "cuda":
        return torch.compile(model.loss, dynamic=False, fullgraph=True)
    return model.loss


def synchronize(device: torch.device) -> None:
    """Wait for queued kernels, so that a clock read after this has seen them."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Pacer:
    """Keeps the CPU at most one step ahead of the GPU, so that the clock of a wallclock cap is honest."""

    def __init__(self, device: torch.device) -> None:
        self._make_event: Any = torch.cuda.Event if device.type == "cuda" else None
        self._last: Any = None

    def tick(self) -> None:
        """Call after queueing a step: waits for the step before it."""
        if self._make_event is None:
            return
        event = self._make_event()
        event.record()
        if self._last is not None:
            self._last.synchronize()
        self._last = event
