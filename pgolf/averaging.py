"""Averages of the weights over training: smoother than the last step's, and easier to quantize.

EMA keeps `decay` of the average at each step and takes the rest from the new weights (0.997 in #1430). SWA is
the plain mean of the weights at every `every`-th step. Both may begin late: at the first step whose rate is
scaled by `below` or less, so in the warmdown (0.2 in #1430, 0.4 in #180).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn


class WeightAverage:
    """A running average of a model's parameters, in fp32, beside them.

    `kind` is "ema", which reads `decay`, or "swa", which reads `every`. Call `update` after each step.
    """

    def __init__(
        self,
        model: nn.Module,
        kind: Literal["ema", "swa"],
        *,
        decay: float = 0.997,
        every: int = 50,
        below: float = 1.0,
    ) -> None:
        self.parameters: list[Tensor] = list(model.parameters())
        self.kind = kind
        self.decay = decay
        self.every = every
        self.below = below
        self.count = 0
        """Steps in the average so far."""
        self.mean: list[Tensor] = []

    @torch.no_grad()
    def update(self, step: int, scale: float) -> None:
        """Take in the weights after `step` steps, the last of them at `scale` times the full rate."""
        if scale > self.below or (self.kind == "swa" and step % self.every):
            return
        self.count += 1
        if self.count == 1:
            self.mean = [parameter.detach().float().clone() for parameter in self.parameters]
            return
        weight = 1 / self.count if self.kind == "swa" else 1 - self.decay
        torch._foreach_lerp_(self.mean, [parameter.float() for parameter in self.parameters], weight)

    @torch.no_grad()
    def apply(self) -> None:
        """Put the average into the model; without any step in it, leave the model as it is."""
        if self.count:
            torch._foreach_copy_(self.parameters, self.mean)
