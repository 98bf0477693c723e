"""Rotary positions: pairs of a head's channels are turned by angles that grow with the position.

The product of a query and a key then depends on their distance, not on where they stand (RoFormer,
arXiv:2104.09864). Turning only the first `rope_dims` channels leaves the others free to match content at any
distance (partial RoPE, #315).

Shapes: T positions, E head width, R turned channels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class RotaryTables(NamedTuple):
    """cos and sin of position x frequency, each of shape (T, R / 2)."""

    cos_TR: Tensor
    sin_TR: Tensor

    def first(self, length: int) -> RotaryTables:
        """The tables of the first `length` positions."""
        return RotaryTables(self.cos_TR[:length], self.sin_TR[:length])

    def last(self, length: int) -> RotaryTables:
        """The tables of the last `length` positions."""
        return RotaryTables(self.cos_TR[-length:], self.sin_TR[-length:])


def rotary_tables(length: int, rope_dims: int, base: float, like: Tensor) -> RotaryTables:
    """Tables for positions 0..length-1 on the device and in the dtype of `like`.

    Computed in fp32. (The contest's baseline casts its frequencies to bf16, which rounds positions over
    256; ours does not.)
    """
    even = torch.arange(0, rope_dims, 2, dtype=torch.float32, device=like.device)
    frequency = base ** (-even / rope_dims)
    angle = torch.arange(length, dtype=torch.float32, device=like.device)[:, None] * frequency[None, :]
    return RotaryTables(angle.cos().to(like.dtype), angle.sin().to(like.dtype))


def rotate(x_BHTE: Tensor, tables: RotaryTables) -> Tensor:
    """Turn each pair (first half, second half) of a head's first R channels by its position's angle."""
    cos, sin = tables
    first, second, rest = x_BHTE.tensor_split((cos.size(-1), 2 * cos.size(-1)), dim=-1)
    return torch.cat((first * cos + second * sin, second * cos - first * sin, rest), dim=-1)
