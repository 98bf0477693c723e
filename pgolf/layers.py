"""The blocks of the GPT: linear maps, rotary positions, grouped-query attention, squared-ReLU MLP.

Weights are kept in fp32 and cast to the activations' dtype where they are used, so the same module runs in
fp32 on a CPU and in bf16 on a GPU, and the optimizer always sees fp32.

Shapes: B sequences, T positions, D model width, H heads, K key-value heads, E head width (D / H).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RotaryTables(NamedTuple):
    """cos and sin of position x frequency, each of shape (T, E / 2)."""

    cos_TE: Tensor
    sin_TE: Tensor


def rotary_tables(length: int, head_dim: int, base: float, like: Tensor) -> RotaryTables:
    """Tables for positions 0..length-1 on the device and in the dtype of `like`.

    Computed in fp32. (The contest's baseline casts its frequencies to bf16, which rounds positions over
    256; ours does not.)
    """
    even = torch.arange(0, head_dim, 2, dtype=torch.float32, device=like.device)
    frequency = base ** (-even / head_dim)
    angle = torch.arange(length, dtype=torch.float32, device=like.device)[:, None] * frequency[None, :]
    return RotaryTables(angle.cos().to(like.dtype), angle.sin().to(like.dtype))


def rotate(x_BHTE: Tensor, tables: RotaryTables) -> Tensor:
    """Turn each pair (first half, second half) of a head's channels by its position's angle."""
    first, second = x_BHTE.chunk(2, dim=-1)
    cos, sin = tables
    return torch.cat((first * cos + second * sin, second * cos - first * sin), dim=-1)


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


class CausalAttention(nn.Module):
    """Grouped-query attention over the past, with normalized queries and keys and a gain per head."""

    def __init__(self, model_dim: int, num_heads: int, num_kv_heads: int, qk_gain_init: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.num_kv_heads = num_kv_heads
        kv_dim = num_kv_heads * (model_dim // num_heads)
        self.query = Linear(model_dim, model_dim)
        self.key = Linear(model_dim, kv_dim)
        self.value = Linear(model_dim, kv_dim)
        self.proj = Linear(model_dim, model_dim, zero_init=True)
        self.q_gain = nn.Parameter(torch.full((num_heads,), qk_gain_init))

    def forward(self, x_BTD: Tensor, tables: RotaryTables) -> Tensor:
        q_BHTE = rotate(rms_norm(self._heads(self.query(x_BTD), self.num_heads)), tables)
        k_BKTE = rotate(rms_norm(self._heads(self.key(x_BTD), self.num_kv_heads)), tables)
        v_BKTE = self._heads(self.value(x_BTD), self.num_kv_heads)
        q_BHTE = q_BHTE * self.q_gain.to(q_BHTE.dtype)[:, None, None]
        y_BHTE = F.scaled_dot_product_attention(
            q_BHTE, k_BKTE, v_BKTE, is_causal=True, enable_gqa=self.num_kv_heads != self.num_heads
        )
        y_BTD: Tensor = self.proj(y_BHTE.transpose(1, 2).reshape(x_BTD.shape))
        return y_BTD

    @staticmethod
    def _heads(x_BTD: Tensor, heads: int) -> Tensor:
        batch, length, width = x_BTD.shape
        return x_BTD.view(batch, length, heads, width // heads).transpose(1, 2)


class MLP(nn.Module):
    """Two linear maps with a squared ReLU between them (modded-nanogpt)."""

    def __init__(self, model_dim: int, mlp_mult: int) -> None:
        super().__init__()
        self.up = Linear(model_dim, mlp_mult * model_dim)
        self.proj = Linear(mlp_mult * model_dim, model_dim, zero_init=True)

    def forward(self, x_BTD: Tensor) -> Tensor:
        y_BTD: Tensor = self.proj(self.up(x_BTD).relu().square())
        return y_BTD


class Block(nn.Module):
    """Attention and MLP on a residual stream that is first mixed with the embeddings `x0`."""

    def __init__(
        self, model_dim: int, num_heads: int, num_kv_heads: int, mlp_mult: int, qk_gain_init: float
    ) -> None:
        super().__init__()
        self.attn = CausalAttention(model_dim, num_heads, num_kv_heads, qk_gain_init)
        self.mlp = MLP(model_dim, mlp_mult)
        self.attn_scale = nn.Parameter(torch.ones(model_dim))
        self.mlp_scale = nn.Parameter(torch.ones(model_dim))
        self.resid_mix = nn.Parameter(torch.stack((torch.ones(model_dim), torch.zeros(model_dim))))

    def forward(self, x_BTD: Tensor, x0_BTD: Tensor, tables: RotaryTables) -> Tensor:
        dtype = x_BTD.dtype
        mix = self.resid_mix.to(dtype)
        x_BTD = mix[0] * x_BTD + mix[1] * x0_BTD
        x_BTD = x_BTD + self.attn_scale.to(dtype) * self.attn(rms_norm(x_BTD), tables)
        out_BTD: Tensor = x_BTD + self.mlp_scale.to(dtype) * self.mlp(rms_norm(x_BTD))
        return out_BTD
