"""Probability mass: call a scoring function again with every other target, everything else as it was.

The probabilities of all candidates at a position must sum to one; a partial sum above one is already a
counterexample. Each counterexample is measured again with one position changed at a time. Before and after,
the unchanged call must give the same scores to the bit: a function that changes what it reads, counts or
learns from its targets is not asked.
"""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import Tensor

from verifier.probe.child.replay import Deadline, OpenCall
from verifier.probe.child.shadow import Shadow

OVER_ONE = 1.001
SURELY_OVER = 1.05
"""Enough for a counterexample; a sum that stays between is added up over the whole vocabulary."""
WITNESSES = 3
SAMPLES = 16
"""Positions whose replayed scores are written down, so that the parent can find them among the committed."""
MOST = 0.5
NARROW_POSITIONS = 128
NARROW_SAME = 1e-6
"""Nats. Matrix products of fewer rows may round differently."""


def measure(mode: Shadow, call: OpenCall, vocab_size: int, made: Tensor | None = None) -> dict[str, Any]:
    """Sums of probability over candidates, at all positions and then at single ones.

    `made` is what the call returned, where it was made already: it must return that again.
    """
    if made is not None and not _repeats(call, made.detach().reshape(-1).double()):
        return {"tried": 0}
    call = _narrowed(call) or call
    targets = call.argument
    at = mode.find(targets)
    realised = _scores(call, targets.clone())
    if at is None or realised.numel() != at.numel() or not _repeats(call, realised):
        return {"tried": 0}
    flat = at.reshape(-1)
    known = flat >= 0
    order = list(range(vocab_size))
    random.Random(0).shuffle(order)
    total = torch.zeros_like(realised)
    each: list[Tensor] = []
    end = Deadline(0.6)
    for candidate in order:
        each.append(torch.exp(-_scores(call, torch.full_like(targets, candidate))))
        total += each[-1]
        far = len(each) >= 8 and int((total[known] > 2.0).sum()) >= WITNESSES
        if far or end.passed:
            break
    if _borrowed(torch.exp(-realised), each, known):
        return {"tried": 0}
    total[~known] = 0.0
    over = total > OVER_ONE
    tried = len(each)
    result: dict[str, Any] = {
        "tried": tried,
        "vocab": vocab_size,
        "positions": int(known.sum()),
        "over": int(over.sum()),
        "highest": float(total.max()),
        "lowest": float(total[known].min()),
        "witnesses": [],
        "samples": [
            [int(flat[i]), float(realised[i])] for i in known.nonzero().flatten().tolist()[-SAMPLES:]
        ],
    }
    # Sliding windows commit their last part: a counterexample there is one for the reported score.
    width = targets.size(-1) if targets.ndim else 1
    late = total * (torch.arange(total.numel()) % width >= width * 3 // 4)
    ranked = late if bool((late > OVER_ONE).any()) else total
    worst = torch.topk(ranked, min(WITNESSES, total.numel())).indices.tolist()
    # A counterexample of many small parts needs the whole vocabulary, and is worth the time.
    end = Deadline(0.4, cpu_share=1.0)
    for place in worst if bool(over.any()) else ():
        likely = torch.stack([p[place] for p in each]).argsort(descending=True).tolist()
        exact = _one_position(call, place, [order[i] for i in likely] + order[tried:], end)
        result["witnesses"].append(
            {"position": int(flat[place]), "realised_nats": float(realised[place]), **exact}
        )
        if end.passed or exact["sum"] > OVER_ONE:
            break
    return result if _repeats(call, realised) else {"tried": 0}


def _repeats(call: OpenCall, scores: Tensor) -> bool:
    """Whether the unchanged call gives these scores again, to the bit."""
    return torch.equal(_scores(call, call.argument.clone()), scores)


def _borrowed(realised: Tensor, each: list[Tensor], known: Tensor) -> bool:
    """Whether most candidates get the realised token's own probability, to the bit: the function holds it from
    elsewhere, so it was not asked about them at all."""
    same = torch.stack([p == realised for p in each]).double().mean(dim=0)
    return len(each) > 1 and float(same[known].median()) > MOST


def _scores(call: OpenCall, targets: Tensor) -> Tensor:
    flat: Tensor = call.with_argument(targets).detach().reshape(-1).double()
    return flat


def _narrowed(call: OpenCall) -> OpenCall | None:
    """The same call on the last rows of its batch, where that gives these rows the same scores: it is cheaper."""
    targets = call.argument
    rows = targets.size(0) if targets.ndim else 0
    keep = max(1, NARROW_POSITIONS * rows // max(targets.numel(), 1))
    if keep >= rows:
        return None

    def last(value: Any) -> Any:
        return value[-keep:] if isinstance(value, Tensor) and value.ndim and value.size(0) == rows else value

    few = OpenCall(
        call.function,
        call.key,
        tuple(last(each) for each in call.args),
        {name: last(each) for name, each in call.kwargs.items()},
        call.part,
    )
    try:
        narrow, whole = _scores(few, few.argument.clone()), _scores(call, targets.clone())
    except Exception:
        return None
    size = targets.numel() // rows * keep
    same = narrow.numel() == size and whole.numel() == targets.numel()
    return few if same and torch.allclose(narrow, whole[-size:], rtol=0.0, atol=NARROW_SAME) else None


def _one_position(call: OpenCall, place: int, order: list[int], end: Deadline) -> dict[str, Any]:
    """The sum at one position with all other targets as realised, likely candidates first; stops once it is over one."""
    total, tried = 0.0, 0
    for candidate in order:
        changed = call.argument.clone()
        changed.reshape(-1)[place] = candidate
        total += float(torch.exp(-_scores(call, changed)[place]))
        tried += 1
        if total > SURELY_OVER or end.passed:
            break
    return {"sum": total, "tried": tried}
