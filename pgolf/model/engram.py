"""Engram: a memory of n-grams, looked up by hash and let in by the hidden state.

After "Conditional Memory via Scalable Lookup" (DeepSeek, arXiv:2601.07372), at the contest's size (EngramLite,
#1089): one table for all layers, no compression of the vocabulary and no convolution. Each position's last n
tokens are hashed for several n, with several hash functions for each; the rows found, side by side, are the
memory. A layer lets in as much of it as its hidden state agrees with.

Shapes: B sequences, T positions, S positions with history, D model width, M memory width (orders x heads x
row width).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pgolf.model.config import GPTConfig
from pgolf.model.history import suffix
from pgolf.model.linear import Linear, rms_norm

TABLE_STD = 0.01
GOLDEN = 0x9E3779B97F4A7C15  # Weyl sequence of splitmix64: well spread multipliers from small seeds


def multiplier(head: int, back: int) -> int:
    """The odd 31-bit factor that hash `head` has for the token `back` positions ago."""
    mixed = (GOLDEN * (1 + 64 * head + back)) % 2**64
    return ((mixed >> 33) ^ (mixed >> 11)) % 2**31 | 1


def ngram_hash(tokens: list[Tensor], head: int, buckets: int) -> Tensor:
    """A bucket for each n-gram, given newest token first: products xored, then the remainder (Engram, 2.2).

    Ids and factors are below 2^31, so that int64 holds every product.
    """
    mixed = torch.zeros_like(tokens[0], dtype=torch.int64)
    for back, token in enumerate(tokens):
        mixed = mixed ^ (token.long() * multiplier(head, back))
    # Small buckets keep low bits only; the high ones are folded in first.
    return (mixed ^ (mixed >> 29)) % buckets


class Engram(nn.Module):
    """The table of n-grams, and for each reading layer the maps to its key and value."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.orders = config.engram_orders
        self.heads = config.engram_heads
        self.buckets = config.engram_buckets
        self.bos_id = config.bos_id
        slots = len(self.orders) * self.heads
        self.table = nn.Embedding(slots * self.buckets, config.engram_dim)
        nn.init.normal_(self.table.weight, std=TABLE_STD)
        self.readers = nn.ModuleDict(
            {
                str(layer): EngramReader(slots * config.engram_dim, config.model_dim)
                for layer in config.engram_layers
            }
        )

    def lookup(self, ids_BS: Tensor, length: int, dtype: torch.dtype) -> Tensor:
        """The memory of the last `length` positions, shape (B, T, M); zeros for n-grams that are cut short."""
        found: list[Tensor] = []
        for order in self.orders:
            tokens, complete_BT = suffix(ids_BS, order, length, self.bos_id)
            for head in range(self.heads):
                bucket_BT = ngram_hash(tokens, head + self.heads * order, self.buckets)
                row_BT = bucket_BT + len(found) * self.buckets
                row = F.embedding(row_BT.where(complete_BT, 0), self.table.weight).to(dtype)
                found.append(row * complete_BT[..., None])
        return torch.cat(found, dim=-1)

    def read(self, layer: int, x_BTD: Tensor, memory_BTM: Tensor) -> Tensor:
        """What `layer` adds to its residual stream; zeros where it does not read."""
        added_BTD: Tensor = self.readers[str(layer)](x_BTD, memory_BTM)
        return added_BTD


class EngramReader(nn.Module):
    """sigmoid(norm(x) . norm(key) / sqrt(D)) times the value: the hidden state says what is worth reading."""

    def __init__(self, memory_dim: int, model_dim: int) -> None:
        super().__init__()
        self.key = Linear(memory_dim, model_dim)
        self.value = Linear(memory_dim, model_dim, zero_init=True)

    def forward(self, x_BTD: Tensor, memory_BTM: Tensor) -> Tensor:
        agreement = (rms_norm(x_BTD) * rms_norm(self.key(memory_BTM))).sum(dim=-1, keepdim=True)
        read_BTD: Tensor = torch.sigmoid(agreement * x_BTD.size(-1) ** -0.5) * self.value(memory_BTM)
        return read_BTD
