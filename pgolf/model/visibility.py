"""Who sees whom: causal, within a window, within a document.

Shapes: B sequences, T queries, S keys (the last T of them are the queries' own positions).
"""

from __future__ import annotations

import torch
from torch import Tensor


def visible(ids_BS: Tensor, num_queries: int, *, window: int | None, bos_id: int | None) -> Tensor | None:
    """The mask (1 or B, 1, T, S), true where a query sees a key; None where plain causal attention says it.

    A query sees itself and what is before it: at most `window` positions in all, and with a `bos_id` no
    further back than its document's first token.
    """
    num_keys = ids_BS.size(1)
    banded = window is not None and window < num_keys
    if num_keys == num_queries and not banded and bos_id is None:
        return None
    key_S = torch.arange(num_keys, device=ids_BS.device)
    distance_TS = key_S[num_keys - num_queries :, None] - key_S[None, :]
    mask = distance_TS >= 0
    if window is not None:
        mask = mask & (distance_TS < window)
    mask = mask[None, None]
    if bos_id is not None:
        document_BS = (ids_BS == bos_id).cumsum(dim=1)
        document_BT = document_BS[:, num_keys - num_queries :]
        mask = mask & (document_BT[:, None, :, None] == document_BS[:, None, None, :])
    return mask
