"""The smear gate: each token's embedding takes a share of the one before it.

Shapes: B sequences, T positions, D model width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SmearGate(nn.Module):
    """x[t] becomes (1 - g) x[t] + g x[t-1], with a learned gate g per channel (#65).

    Where a document begins, g is zero: taking from before it is the leak that #1851 fixed.
    """

    def __init__(self, model_dim: int) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(model_dim))

    def forward(self, x_BTD: Tensor, before_BD: Tensor, has_previous_BT: Tensor) -> Tensor:
        """`before_BD` is the embedding before the first; `has_previous_BT` is false where nothing is taken."""
        previous_BTD = torch.cat((before_BD[:, None].to(x_BTD.dtype), x_BTD[:, :-1]), dim=1)
        gate_BTD = torch.sigmoid(self.gate.to(x_BTD.dtype)) * has_previous_BT[..., None]
        return x_BTD + gate_BTD * (previous_BTD - x_BTD)
