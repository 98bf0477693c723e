"""One layer: a mixer over positions and an MLP, on a residual stream that is first mixed with `x0`.

Shapes: B sequences, T positions, D model width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pgolf.model.attention import CausalAttention, KeyValues, Positions
from pgolf.model.config import GPTConfig
from pgolf.model.linear import rms_norm
from pgolf.model.mlp import MLP
from pgolf.model.state_space import MixerState, StateSpaceMixer


class BlockOutput(NamedTuple):
    """The residual stream after a layer, and what else the layer leaves."""

    x_BTD: Tensor
    kept: KeyValues | MixerState
    """What later calls need of this one's positions."""
    value_BKTE: Tensor | None
    """As `Attended` has it; None where the mixer is no attention."""


class Block(nn.Module):
    """Mixer and MLP, one after the other or side by side."""

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        width = config.model_dim
        self.attn: CausalAttention | StateSpaceMixer
        if layer in config.ssm_layers:
            self.attn = StateSpaceMixer(width, config.num_heads)
        else:
            self.attn = CausalAttention(config, layer)
        self.mlp = MLP(width, config.mlp_mult, config.mlp_activation)
        self.attn_scale = nn.Parameter(torch.ones(width))
        self.mlp_scale = nn.Parameter(torch.ones(width))
        self.resid_mix = nn.Parameter(torch.stack((torch.ones(width), torch.zeros(width))))
        self.parallel = config.parallel_from is not None and layer >= config.parallel_from
        self.input_scale = (layer + 1) ** -0.5 if config.ln_scale else 1.0
        self.fused = False
        """As `GPT.fuse` says."""

    def forward(
        self,
        x_BTD: Tensor,
        x0_BTD: Tensor,
        positions: Positions,
        *,
        past: KeyValues | MixerState | None = None,
        value_embedding_BTC: Tensor | None = None,
        first_value_BKTE: Tensor | None = None,
    ) -> BlockOutput:
        dtype = x_BTD.dtype
        # Hooks on single maps, as calibration and LoRA have them, see nothing of a fused block.
        fused = self.fused and self.training
        attn_scale_D, mlp_scale_D = (self.attn_scale, self.mlp_scale) if fused else (None, None)
        mix = self.resid_mix.to(dtype)
        x_BTD = mix[0] * x_BTD + mix[1] * x0_BTD
        read_BTD = self._norm(x_BTD)
        kept: KeyValues | MixerState
        value_BKTE: Tensor | None = None
        if isinstance(self.attn, StateSpaceMixer):
            y_BTD, kept = self.attn(read_BTD, past, positions.begins_BT)
        else:
            y_BTD, kept, value_BKTE = self.attn(
                read_BTD,
                positions,
                past=past,
                value_embedding_BTC=value_embedding_BTC,
                first_value_BKTE=first_value_BKTE,
                scale_D=attn_scale_D,
            )
        scaled_already = fused and not isinstance(self.attn, StateSpaceMixer)
        x_BTD = x_BTD + (y_BTD if scaled_already else self.attn_scale.to(dtype) * y_BTD)
        if not self.parallel:
            read_BTD = self._norm(x_BTD)
        y_BTD = self.mlp(read_BTD, mlp_scale_D)
        x_BTD = x_BTD + (y_BTD if fused else self.mlp_scale.to(dtype) * y_BTD)
        return BlockOutput(x_BTD, kept, value_BKTE)

    def _norm(self, x_BTD: Tensor) -> Tensor:
        normed = rms_norm(x_BTD)
        return normed if self.input_scale == 1.0 else self.input_scale * normed
