"""Compare passes between runs: which moved under a flip, and how much moves by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verifier.probe.influence import Influence, influence
from verifier.probe.passes import Pass
from verifier.probe.record import ProbeRecord, Run


@dataclass(frozen=True)
class FlipResult:
    """One flipped run's effect on one pass of the base run."""

    run: Run
    block: range
    influence: Influence


def flip_results(record: ProbeRecord, base: Run, reported: Pass) -> tuple[FlipResult, ...]:
    """The effect of each flip on `reported`, where the flipped run has that pass too."""
    found = []
    own = reported.committed(base.stream.ids.size)
    for run in record.flips:
        twin = run.twin(reported, base)
        block = run.stream.flipped
        if twin is not None and twin.reconciled and block is not None:
            other = twin.committed(run.stream.ids.size)
            found.append(FlipResult(run, block, influence(own, other, block)))
    return tuple(found)


def noise_nats(record: ProbeRecord, base: Run, reported: Pass) -> float | None:
    """The largest change of any score between two runs on the same stream; None when there is no second."""
    again = record.run("uniform again")
    twin = again.twin(reported, base) if again is not None else None
    if again is None or twin is None or not twin.reconciled:
        return None
    own, other = reported.committed(base.stream.ids.size), twin.committed(base.stream.ids.size)
    if not np.array_equal(own.scored, other.scored):
        return float("inf")
    scored = own.scored
    return float(np.abs(own.values[scored] - other.values[scored]).max()) if bool(scored.any()) else 0.0


def first_dirty_pass(record: ProbeRecord, base: Run) -> Pass | None:
    """The first reported pass of which an earlier score moved: what went before it let the future in."""
    for each in base.passes:
        if each.reconciled and any(r.influence.moved.size for r in flip_results(record, base, each)):
            return each
    return None


def last_clean_pass(record: ProbeRecord, base: Run, dirty: Pass) -> Pass | None:
    """The last pass before `dirty` that flips reached and left unmoved."""
    clean = [p for p in base.passes if p.reconciled and p.last_event < dirty.first_event]
    clean = [p for p in clean if not any(r.influence.moved.size for r in flip_results(record, base, p))]
    return clean[-1] if clean else None
