"""Logits within a window: change later ids of one row, and no earlier row of logits may move.

The flip changes a block of the file, so a target and its later use as an input change together, and a
model that sees the very token it predicts looks like one whose score follows its target. Here the ids
given to a function that returns logits are changed from one index on, in a forked copy, and the logits
before that index are compared. Index j predicts id j + 1, so it may use ids up to j.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from verifier.probe.child.replay import OpenCall
from verifier.probe.child.shadow import Shadow

CUTS = (0.97, 0.9, 0.5)
"""Where the change begins, as fractions of the row."""
FIRST_ID = 3
"""Ids below it are control tokens in every tokenizer of the contest; they stay, and with them document starts."""


def measure(mode: Shadow, call: OpenCall, vocab_size: int) -> dict[str, Any]:
    """Whether logits moved when later ids of the last row changed, and the largest move."""
    ids = call.argument
    at = mode.find(ids)
    if at is None or ids.ndim == 0:
        return {"tried": 0}
    at_T = at.reshape(-1, at.size(-1))[-1]
    length = at_T.numel()
    before = _last_row(call.with_argument(ids.clone()), ids)
    again = _last_row(call.with_argument(ids.clone()), ids)
    if before is None or again is None or length < 8:
        return {"tried": 0}
    noise = float((before - again).abs().max())
    result: dict[str, Any] = {"tried": 0, "noise": noise, "moved": 0, "witnesses": []}
    generator = torch.Generator().manual_seed(0)
    for share in CUTS:
        cut = max(1, int(length * share))
        changed = ids.clone()
        tail_T = changed.reshape(-1, length)[-1][cut:]
        shift = torch.randint(1, vocab_size - FIRST_ID, tail_T.shape, generator=generator)
        drawn = (tail_T - FIRST_ID + shift) % (vocab_size - FIRST_ID) + FIRST_ID
        tail_T.copy_(torch.where(tail_T >= FIRST_ID, drawn, tail_T))
        after = _last_row(call.with_argument(changed), ids)
        if after is None:
            continue
        moves = (after[:cut] - before[:cut]).abs().amax(dim=-1)
        moves[(at_T[:cut] < 0) | (at_T[1 : cut + 1] != at_T[:cut] + 1)] = 0.0
        result["tried"] += cut
        result["moved"] += int((moves > 0).sum())
        # The largest, and the last: sliding windows commit their last part.
        for place in sorted({int(moves.argmax()), int(moves.nonzero().max())} if bool(moves.any()) else ()):
            target = int(ids.reshape(-1, length)[-1][place + 1])
            nats = torch.logsumexp(before[place].double(), 0) - before[place, target].double()
            result["witnesses"].append(
                {
                    "position": int(at_T[place]) + 1,
                    "changed_from": int(at_T[cut]),
                    "change": float(moves[place]),
                    "realised_nats": float(nats),
                }
            )
    return result


def _last_row(logits: Any, ids: Tensor) -> Tensor | None:
    """The logits (T, V) of the last row of ids."""
    if not isinstance(logits, Tensor) or logits.numel() // logits.size(-1) != ids.numel():
        return None
    return logits.detach().reshape(-1, ids.size(-1), logits.size(-1))[-1]
