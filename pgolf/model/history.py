"""The tokens before each token, as far as its document goes: what hashed embeddings and the smear gate read.

Shapes: B sequences, T positions, C carried ids, S = `before` + T.
"""

from __future__ import annotations

import torch
from torch import Tensor

NO_TOKEN = -1
"""Stands where the stream has not begun."""


def with_history(ids_BT: Tensor, carried_BC: Tensor, before: int) -> Tensor:
    """ids_BS: the ids, led by the `before` ids that came last before them (NO_TOKEN where there were none)."""
    if before == 0:
        return ids_BT
    nothing = ids_BT.new_full((ids_BT.size(0), before), NO_TOKEN)
    return torch.cat((nothing, carried_BC, ids_BT), dim=1)[:, -(before + ids_BT.size(1)) :]


def suffix(ids_BS: Tensor, order: int, length: int, bos_id: int) -> tuple[list[Tensor], Tensor]:
    """The last `order` tokens at each of the last `length` positions, newest first, and where all are there.

    They are not all there where the stream began later, nor where one of them belongs to an earlier document:
    a document's first token is its `bos_id`, so nothing may stand before one.
    """
    start = ids_BS.size(1) - length
    tokens = [ids_BS[:, start - back : start - back + length] for back in range(order)]
    complete_BT = tokens[-1] != NO_TOKEN
    for token_BT in tokens[:-1]:
        complete_BT = complete_BT & (token_BT != bos_id)
    return tokens, complete_BT
