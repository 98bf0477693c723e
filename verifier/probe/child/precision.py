"""Run in float32: bfloat16 becomes float32 and autocast does nothing.

Half precision would round small effects away (a leak of 1e-6 nats is invisible in bfloat16), and its
softmax need not sum to one to better than a few thousandths, which an exact floor may not blame on a
script. Float16 stays: artifacts store scales in it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from verifier.probe.child.uses import stand_in, used


class _NoAutocast:
    """`torch.autocast` as context and as decorator, without effect."""

    def __init__(self, *_: Any, **__: Any) -> None:
        used("autocast")

    def __enter__(self) -> _NoAutocast:
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def __call__(self, function: Any) -> Any:
        return function


def install() -> None:
    """Alias bfloat16 to float32 throughout torch."""
    torch.zeros(1, dtype=torch.bfloat16).float()  # fill torch's own dtype tables before the alias
    torch.storage._dtype_to_storage_type_map()
    stand_in(torch, bfloat16=torch.float32, autocast=_NoAutocast)
    stand_in(Tensor, bfloat16=lambda self, *_, **__: self.float())
    stand_in(nn.Module, bfloat16=lambda self: self.float())
    for owner in (torch.amp, torch.cuda.amp, torch.amp.autocast_mode):
        stand_in(owner, autocast=_NoAutocast)
