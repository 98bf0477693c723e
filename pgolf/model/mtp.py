"""Multi-token prediction: heads for the tokens after the next one, in training only.

Shapes: B sequences, T positions, D model width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor

PREFIX = "mtp_heads."
"""How the names of their parameters begin: the artifact goes without them."""


def mtp_loss(
    hidden_BTD: Tensor, target_ids_BT: Tensor, heads: Sequence[Callable[[Tensor], Tensor]]
) -> Tensor | None:
    """The heads' mean cross-entropy in nats: head k (from 1) at position t is asked for the k-th after t's target.

    None when the sequence is too short for any. Each head's logits come from its function. (#1430; Gloeckle
    et al., arXiv:2404.19737.)
    """
    losses = [
        F.cross_entropy(head(hidden_BTD[:, :-ahead]).flatten(0, 1), target_ids_BT[:, ahead:].flatten())
        for ahead, head in enumerate(heads, start=1)
        if ahead < target_ids_BT.size(1)
    ]
    return sum(losses[1:], losses[0]) / len(losses) if losses else None
