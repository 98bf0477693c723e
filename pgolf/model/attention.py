"""Grouped-query attention over the past, and what the contest's best entries add to it.

Shapes: B sequences, T positions, S keys (T, and the cached ones before them), D model width, H heads, K
key-value heads, E head width (D / H).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pgolf.model.config import GPTConfig
from pgolf.model.linear import Linear, joined, rms_norm, scaled
from pgolf.model.rotary import RotaryTables, rotate

HEAD_GATE_BIAS = 4.0  # sigmoid(4) = 0.98: heads begin open


Turn = Callable[[Tensor, Tensor, Tensor, Tensor, int], tuple[Tensor, Tensor, Tensor]]
"""As `pgolf.model.turn_cuda.turn`."""


class Positions(NamedTuple):
    """Where the keys stand and who sees whom: one per call, the same for every layer."""

    tables: RotaryTables
    """Of all S keys; the queries stand at the last T."""
    mask: Tensor | None
    """As `visibility.visible` gives it."""
    begins_BT: Tensor | None = None
    """Where a document begins; None where documents do not count."""


class KeyValues(NamedTuple):
    """What later positions need of earlier ones. Keys are normalized but not yet turned by their positions."""

    key_BKSE: Tensor
    value_BKSE: Tensor

    def last(self, length: int) -> KeyValues:
        """Those of the last `length` positions."""
        return KeyValues(self.key_BKSE[:, :, -length:], self.value_BKSE[:, :, -length:])


class Attended(NamedTuple):
    """What attention gives back."""

    y_BTD: Tensor
    kept: KeyValues
    """Of all S positions."""
    value_BKTE: Tensor
    """Of the T positions: what the first attention lends to the later ones."""


class CausalAttention(nn.Module):
    """Attention with normalized queries and keys, a gain per head, and rotary positions."""

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.num_kv_heads = config.num_kv_heads
        self.exclude_own_value = layer >= config.num_layers - config.xsa_last_n
        kv_dim = config.num_kv_heads * config.head_dim
        self.query = Linear(config.model_dim, config.model_dim)
        self.key = Linear(config.model_dim, kv_dim)
        self.value = Linear(config.model_dim, kv_dim)
        self.proj = Linear(config.model_dim, config.model_dim, zero_init=True)
        self.q_gain = nn.Parameter(torch.full((config.num_heads,), config.qk_gain_init))
        self.head_gate = HeadGate(config) if config.gated_attention else None
        first = next((i for i in range(config.num_layers) if i not in config.ssm_layers), layer)
        lends = config.value_residual and layer != first
        self.value_gate = nn.Parameter(torch.zeros(1)) if lends else None
        self.turn: Turn | None = None
        """As `GPT.fuse` says: norm, turn and gain in one pass; None where it is done step by step."""

    def forward(
        self,
        x_BTD: Tensor,
        positions: Positions,
        *,
        past: KeyValues | None = None,
        value_embedding_BTC: Tensor | None = None,
        first_value_BKTE: Tensor | None = None,
        scale_D: Tensor | None = None,
    ) -> Attended:
        """Mix `x` with its past.

        `value_embedding_BTC` (C = K x E) is added to the values (#374), then the first layer's values through
        a gate (#413, in #569's form, after arXiv:2410.17897).

        With `scale_D` the outputs are that many times as large, and it is all computed in fewer passes over
        the activations: the same but for rounding.
        """
        maps = (self.query, self.key, self.value)
        ready: tuple[Tensor, Tensor, Tensor] | None = None
        if scale_D is None:
            query_BTD, key_BTC, value_BTC = (each(x_BTD) for each in maps)
        else:
            joined_BTW = joined(x_BTD, maps)
            query_BTD, key_BTC, value_BTC = torch.split(
                joined_BTW, [each.out_features for each in maps], dim=-1
            )
            if self.turn is not None and past is None:
                cos_TR, sin_TR = positions.tables
                ready = self.turn(joined_BTW, cos_TR, sin_TR, self.q_gain, self.num_kv_heads)
        k_BKSE = rms_norm(self._heads(key_BTC, self.num_kv_heads))
        v_BKTE = self._heads(value_BTC, self.num_kv_heads) if ready is None else ready[2].transpose(1, 2)
        if value_embedding_BTC is not None:
            v_BKTE = v_BKTE + self._heads(value_embedding_BTC, self.num_kv_heads)
        if self.value_gate is not None and first_value_BKTE is not None:
            v_BKTE = v_BKTE + torch.sigmoid(self.value_gate.to(v_BKTE.dtype)) * first_value_BKTE
        v_BKSE = v_BKTE
        if past is not None:
            k_BKSE = torch.cat((past.key_BKSE, k_BKSE), dim=2)
            v_BKSE = torch.cat((past.value_BKSE, v_BKSE), dim=2)
        if ready is None:
            q_BHTE = rms_norm(self._heads(query_BTD, self.num_heads))
            q_BHTE = rotate(q_BHTE, positions.tables.last(x_BTD.size(1)))
            q_BHTE = q_BHTE * self.q_gain.to(q_BHTE.dtype)[:, None, None]
            turned_BKSE = rotate(k_BKSE, positions.tables)
        else:
            q_BHTE, turned_BKSE = ready[0].transpose(1, 2), ready[1].transpose(1, 2)
        y_BHTE = attend(q_BHTE, turned_BKSE, v_BKSE, positions.mask)
        if self.exclude_own_value:
            y_BHTE = exclude(y_BHTE, v_BKTE)
        if self.head_gate is not None:
            y_BHTE = y_BHTE * self.head_gate(x_BTD)
        flat_BTD = y_BHTE.transpose(1, 2).reshape(x_BTD.shape)
        y_BTD: Tensor = self.proj(flat_BTD) if scale_D is None else scaled(flat_BTD, self.proj, scale_D)
        return Attended(y_BTD, KeyValues(k_BKSE, v_BKSE), v_BKTE)

    @staticmethod
    def _heads(x_BTD: Tensor, heads: int) -> Tensor:
        batch, length, width = x_BTD.shape
        return x_BTD.view(batch, length, heads, width // heads).transpose(1, 2)


def attend(q_BHTE: Tensor, k_BKSE: Tensor, v_BKSE: Tensor, mask: Tensor | None) -> Tensor:
    """Scaled dot-product attention, causal where there is no mask."""
    group = q_BHTE.size(1) // k_BKSE.size(1)
    if mask is None:
        return F.scaled_dot_product_attention(q_BHTE, k_BKSE, v_BKSE, is_causal=True, enable_gqa=group != 1)
    # With a mask, CUDA's fused kernel takes no groups: shared heads are laid out once per query head.
    k_BHSE, v_BHSE = (x.repeat_interleave(group, dim=1) for x in (k_BKSE, v_BKSE))
    return F.scaled_dot_product_attention(q_BHTE, k_BHSE, v_BHSE, attn_mask=mask)


def exclude(y_BHTE: Tensor, own_value_BKTE: Tensor) -> Tensor:
    """Drop from each head's output its projection on the position's own value (XSA, #265; all layers #478).

    The residual stream has that direction already. A position that sees only itself is left with nothing.
    """
    batch, heads, length, width = y_BHTE.shape
    direction = F.normalize(own_value_BKTE, dim=-1)[:, :, None]
    y_BKGTE = y_BHTE.view(batch, own_value_BKTE.size(1), -1, length, width)
    along = (y_BKGTE * direction).sum(dim=-1, keepdim=True)
    return (y_BKGTE - along * direction).view(batch, heads, length, width)


class HeadGate(nn.Module):
    """A sigmoid gate per head and position, read off the layer's input (#413, after arXiv:2505.06708)."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(config.num_heads, config.model_dim))
        self.bias = nn.Parameter(torch.full((config.num_heads,), HEAD_GATE_BIAS))

    def forward(self, x_BTD: Tensor) -> Tensor:
        """The gates, of shape (B, H, T, 1)."""
        gate_BTH = torch.sigmoid(F.linear(x_BTD, self.weight.to(x_BTD.dtype), self.bias.to(x_BTD.dtype)))
        return gate_BTH.transpose(1, 2)[..., None]
