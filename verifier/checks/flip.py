"""C1: change later tokens, and no score committed before them may move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from verifier.checks import check
from verifier.checks.probe_base import captured_head, site_where, stage_where
from verifier.evidence import Evidence
from verifier.finding import Grade, Json, Outcome, failed, passed, unverified, warned
from verifier.probe.dirty import FlipResult, first_dirty_pass, flip_results, noise_nats

SHOWN_POSITIONS = 12


@check("C1-flip", title="no score moves when later tokens change", grade=Grade.PROBED, rules=("C1", "C3"))
def causality_flip(evidence: Evidence) -> Outcome:
    """Redraw a block of the stream, run the script again, and compare every score committed before the block.

    The block is changed in the file, so inputs and targets change together as in any real stream; ids of
    all classes are drawn; BOS tokens stay, and with them document starts and lengths. Past to future is
    legal, future to past is not. A score counts as moved only if it lies before the block in the stream
    *and* was committed no later than the block: a submission that sorts documents, or learns from what
    it scored, is not accused.

    FAIL: a score of the reported pass moved, while two runs on the same stream agree to the bit. The
    counterexample is the seed, the block and the position; `replay` makes both runs again.
    PASS: none moved, and scores after the block did (the control: a blind model would prove nothing).

    Cannot see: a leak that needs other blocks than those changed, one smaller than the print of a
    float64, or a mechanism that is off at audit scale. A leak that a fraction f of blocks would show is
    missed by n flips with probability (1-f)^n.

    Illegal: a delta shared by a batch of overlapping windows (#1176), adapting to the stream before
    scoring it (#1376). Legal contrast: per-chunk score-first training (#549), documents sorted by
    length (#77).

    Source: #1240 (flip test), corrected: causal direction only, x and y together, a null run first.
    """
    found = captured_head(evidence, "none can be compared")
    if isinstance(found, Outcome):
        return found
    record, base, head = found
    results = flip_results(record, base, head)
    if not results:
        ends = ", ".join(f"{run.name}: {run.status}" for run in record.flips)
        return unverified(f"no flipped run reached {head.label}: {ends or 'none was made'}")
    moved = [result for result in results if result.influence.moved.size]
    tested = sum(result.influence.tested for result in results)
    facts: dict[str, Json] = {
        "label": head.label,
        "flips": [_flip_facts(result) for result in results],
    }
    if not moved:
        reacted = sum(result.influence.later_moved for result in results)
        if not reacted:
            return unverified(
                f"nothing moved, before or after the change: {head.label} did not react to its context, "
                "so the comparison proves nothing at this scale",
                **facts,
            )
        later = sum(result.influence.later for result in results)
        return replace(
            passed(
                f"0 of {tested:,} earlier scores moved in {len(results)} flips; {reacted:,} of {later:,} later ones did",
                **facts,
            ),
            where=stage_where(evidence, base, head),
        )
    noise = noise_nats(record, base, head)
    worst = max(moved, key=lambda result: result.influence.moved.size)
    effect = worst.influence
    if noise is None:
        return unverified(
            f"{effect.moved.size} of {effect.tested:,} earlier scores moved, but no second run on the same stream "
            "was made to say what moves by itself",
            **facts,
        )
    if noise > 0:
        return warned(
            f"{effect.moved.size} of {effect.tested:,} earlier scores moved by up to {effect.largest_nats:.2e} nats, and "
            f"two runs on the same stream differ by up to {noise:.2e}: the script is not deterministic",
            noise_nats=noise,
            **facts,
        )
    dirty = first_dirty_pass(record, base)
    if dirty is not None:
        facts["first_moved_pass"] = dirty.label
    at = base.tape
    sites = head.committed(base.stream.ids.size).sites
    first = int(effect.moved[np.argmax(effect.change_nats)])
    where = site_where(evidence, base, int(sites[first])) if at else None
    block = worst.block
    return replace(
        failed(
            f"p[{first}] moved {effect.largest_nats:.3g} nats when tokens {block.start}..{block.stop - 1} changed: "
            f"{effect.moved.size:,} of {effect.tested:,} scores committed before them moved "
            f"(positions {effect.first}..{effect.last}); two unchanged runs agree to the bit",
            position=first,
            moved_nats=effect.largest_nats,
            moved=int(effect.moved.size),
            tested=effect.tested,
            noise_nats=0.0,
            **facts,
        ),
        where=() if where is None else (where,),
        replayable=True,
    )


def _flip_facts(result: FlipResult) -> dict[str, Json]:
    effect = result.influence
    return {
        "run": result.run.name,
        "block": [result.block.start, result.block.stop],
        "moved": int(effect.moved.size),
        "tested": effect.tested,
        "first": effect.first,
        "last": effect.last,
        "largest_nats": effect.largest_nats,
        "later_moved": effect.later_moved,
        "later": effect.later,
        "positions": [int(p) for p in effect.moved[-SHOWN_POSITIONS:]],
    }
