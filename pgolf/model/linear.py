"""Linear maps and the norm.

Weights are kept in fp32 and cast to the activations' dtype where they are used, so the same module runs in
fp32 on a CPU and in bf16 on a GPU, and the optimizer always sees fp32.

Several maps that read one input are one product, and a scale of a map's outputs is a scale of its weight's
rows: `joined` and `scaled` say so, and save a pass over the activations, forward and backward, for each map
left out. They go past the modules' own `forward`, and so past its hooks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
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


def joined(x: Tensor, maps: Sequence[Linear]) -> Tensor:
    """`map(x)` of each map, side by side in the last dimension, as one product."""
    return F.linear(x, torch.cat([each.weight for each in maps]).to(x.dtype))


def scaled(x: Tensor, map_: Linear, scale_O: Tensor) -> Tensor:
    """`scale_O * map_(x)`: the scale is multiplied into the weight in fp32."""
    return F.linear(x, (scale_O[:, None] * map_.weight).to(x.dtype))
