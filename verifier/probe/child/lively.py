"""Zero-initialised matrices get small random values, so that a tiny untrained model reads its context.

Residual projections that start at zero make every prediction independent of the past until training has
moved them. A probe that changes tokens and sees no score move would then prove nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from verifier.probe.child.uses import stand_in, used

STD = 0.05


def install() -> None:
    """Replace `nn.init.zeros_` for tensors of two or more dimensions."""
    zeros = nn.init.zeros_

    def zeros_(tensor: Tensor, *args: Any) -> Tensor:
        if tensor.ndim < 2:
            return zeros(tensor, *args)
        used("nn.init.zeros_")
        with torch.no_grad():
            return tensor.normal_(0.0, STD)

    stand_in(nn.init, zeros_=zeros_)
