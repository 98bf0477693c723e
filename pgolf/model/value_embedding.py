"""Value embeddings: the token itself, offered again to the attention of chosen layers.

Shapes: B sequences, T positions, C key-value heads x head width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pgolf.model.config import GPTConfig
from pgolf.model.linear import Linear

TABLE_STD, SCALE_INIT = 0.01, 0.1


class ValueEmbedding(nn.Module):
    """One table for all chosen layers and one scale for each (#374; modded-nanogpt has a table per layer)."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.layers = config.value_embed_layers
        self.table = nn.Embedding(config.vocab_size, config.value_embed_dim)
        nn.init.normal_(self.table.weight, std=TABLE_STD)
        self.proj = Linear(config.value_embed_dim, config.num_kv_heads * config.head_dim, zero_init=True)
        self.layer_scales = nn.Parameter(torch.full((len(self.layers),), SCALE_INIT))

    def forward(self, ids_BT: Tensor, dtype: torch.dtype) -> dict[int, Tensor]:
        """What to add to the values of each chosen layer, shape (B, T, C)."""
        shared_BTC = self.proj(F.embedding(ids_BT, self.table.weight).to(dtype))
        scales = self.layer_scales.to(dtype)
        return {layer: scales[index] * shared_BTC for index, layer in enumerate(self.layers)}
