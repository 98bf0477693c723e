"""Linear maps and the norm.

Weights are kept in fp32 and cast to the activations' dtype where they are used, so the same module runs in
fp32 on a CPU and in bf16 on a GPU, and the optimizer always sees fp32.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def rms_norm(x: Tensor) -> Tensor:
    """Scale the last dimension to a root mean square of one; no learned gain."""
    return F.rms_norm(x, (x.size(-1),))


class Linear(nn.Linear):
    """A bias-free linear map whose fp32 weight is cast to its input's dtype."""

    def __init__(self, in_features: int, out_features: int, *, zero_init: bool = False) -> None:
        super().__init__(in_features, out_features, bias=False)
        if zero_init:
            nn.init.zeros_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))
