"""BigramHash: an embedding of the last two tokens, looked up by their hash.

Shapes: B sequences, T positions, S positions with history, D model width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pgolf.model.config import GPTConfig
from pgolf.model.history import suffix
from pgolf.model.linear import Linear

CURRENT, PREVIOUS = 36_313, 27_191  # #1430's multipliers
SCALE_INIT = 0.05


def bigram_hash(current: Tensor, previous: Tensor, rows: int) -> Tensor:
    """A row of 0..rows-2 for each pair of ids below 2^31; the last row is left for no pair.

    In int64, where the products cannot overflow. (The contest's int32 wraps from id 59,138 on, and its
    remainders then depend on how a device treats negative ones.)
    """
    mixed = (CURRENT * current.long()) ^ (PREVIOUS * previous.long())
    return mixed % (rows - 1)


class BigramHash(nn.Module):
    """A narrow hashed table, mapped to the model's width and added to the token's embedding (#162, #1430)."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.rows = config.bigram_vocab_size
        self.bos_id = config.bos_id
        self.table = nn.Embedding(self.rows, config.bigram_dim)
        nn.init.zeros_(self.table.weight)
        self.proj = Linear(config.bigram_dim, config.model_dim)
        nn.init.orthogonal_(self.proj.weight)
        self.scale = nn.Parameter(torch.tensor(SCALE_INIT))

    def forward(self, ids_BS: Tensor, length: int, dtype: torch.dtype) -> Tensor:
        """Of the last `length` positions, shape (B, T, D). `ids_BS` has at least one id before them."""
        (current_BT, previous_BT), complete_BT = suffix(ids_BS, 2, length, self.bos_id)
        row_BT = bigram_hash(current_BT, previous_BT, self.rows).where(complete_BT, self.rows - 1)
        embedding = F.embedding(row_BT, self.table.weight).to(dtype)
        added_BTD: Tensor = self.proj(embedding) * self.scale.to(dtype)
        return added_BTD
