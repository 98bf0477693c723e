"""The feed-forward half of a block.

Shapes: B sequences, T positions, D model width.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from pgolf.model.config import Activation
from pgolf.model.linear import Linear, scaled

LEAKY_SLOPE = 0.5  # #493: a quarter of the square is kept below zero, so no unit's gradient dies


class MLP(nn.Module):
    """Two linear maps with a square between them: of a ReLU (modded-nanogpt) or of a leaky one (#493)."""

    def __init__(self, model_dim: int, mlp_mult: int, activation: Activation = "relu2") -> None:
        super().__init__()
        self.leaky = activation == "leaky_relu2"
        self.up = Linear(model_dim, mlp_mult * model_dim)
        self.proj = Linear(mlp_mult * model_dim, model_dim, zero_init=True)

    def forward(self, x_BTD: Tensor, scale_D: Tensor | None = None) -> Tensor:
        """With `scale_D`, the outputs times it."""
        hidden = self.up(x_BTD)
        hidden = F.leaky_relu(hidden, LEAKY_SLOPE) if self.leaky else hidden.relu()
        if scale_D is not None:
            return scaled(hidden.square(), self.proj, scale_D)
        y_BTD: Tensor = self.proj(hidden.square())
        return y_BTD
