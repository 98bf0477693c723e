"""Which earlier scores moved when later tokens changed, and what happened on the tape before that.

A score is judged twice: it must lie before the changed block in the stream, and it must have been
committed no later than the block was. Only a score that breaks both orders is counted, so a submission
that sorts documents, or learns from what it has already scored, is not accused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from verifier.probe.passes import Committed, Pass
from verifier.probe.record import Run
from verifier.probe.tape import Backward, Forward, Score, Step, Tape, Weights

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Influence:
    """The effect of one flip on one pass."""

    moved: NDArray[np.int64]
    """Positions before the block, committed no later than it, whose score changed."""
    tested: int
    """How many such positions there were."""
    change_nats: NDArray[np.float64]
    """Absolute change at each of `moved`."""
    later_moved: int
    """Positions after the block that changed: the positive control."""
    later: int

    @property
    def largest_nats(self) -> float:
        return float(self.change_nats.max()) if self.moved.size else 0.0

    @property
    def first(self) -> int | None:
        return int(self.moved.min()) if self.moved.size else None

    @property
    def last(self) -> int | None:
        return int(self.moved.max()) if self.moved.size else None


def influence(base: Committed, flipped: Committed, block: range) -> Influence:
    """Compare the first commits of two runs of which one had `block` redrawn."""
    both = base.scored & flipped.scored
    differs = both & (base.values != flipped.values)
    early = _earlier(base.order, both, block)
    late = both & (np.arange(base.values.size) >= block.stop)
    moved = np.flatnonzero(early & differs)
    return Influence(
        moved=moved,
        tested=int(early.sum()),
        change_nats=np.abs(base.values[moved] - flipped.values[moved]),
        later_moved=int((late & differs).sum()),
        later=int(late.sum()),
    )


def _earlier(order: NDArray[np.int64], scored: NDArray[np.bool_], block: range) -> NDArray[np.bool_]:
    """Positions before the block that were committed no later than it: what a change of it may not move."""
    positions = np.arange(order.size)
    inside = (positions >= block.start) & (positions < block.stop) & scored
    # The block is known to the script from its first commit on.
    known = int(order[inside].min()) if bool(inside.any()) else _NEVER
    return scored & (positions < block.start) & (order <= known)


@dataclass(frozen=True)
class Learning:
    """Validation positions that were learned from before a pass scored them."""

    stage: str
    """`before` the pass began, or `within` it."""
    positions: NDArray[np.int64]
    learned: NDArray[np.int64]
    """The number of the first step that learned from each of `positions`."""
    steps: tuple[Step, ...]
    first_backward: Backward
    tensors: int
    """Most tensors that one of the steps changed."""
    weights: Weights | None
    """What had become of the stepped weights when the next score after the last step was made."""


STAGES = {
    "before": "adaptation before scoring",
    "within": "scoring (the scored region is optimised)",
}
"""Names of `Learning.stage` in findings."""


def stage_of(tape: Tape, reported: Pass, stream_size: int) -> str:
    """The stage at which `reported` got its gain, as far as the tape tells."""
    found = {learning.stage for learning in learned_before_scored(tape, reported, stream_size)}
    return next((STAGES[stage] for stage in ("within", "before") if stage in found), "scoring")


def learned_before_scored(tape: Tape, reported: Pass, stream_size: int) -> tuple[Learning, ...]:
    """Steps on losses over positions that `reported` had not scored yet, by stage."""
    found: dict[str, tuple[Backward, list[Step], NDArray[np.int64]]] = {}
    for stage, step, backward, unscored in _early_losses(tape, reported, reported.committed(stream_size)):
        _, steps, learned = found.setdefault(stage, (backward, [], np.full(stream_size, _NEVER)))
        learned[unscored & (learned == _NEVER)] = step.number
        if not steps or steps[-1] is not step:
            steps.append(step)
    return tuple(
        Learning(
            stage,
            np.flatnonzero(learned != _NEVER),
            learned[learned != _NEVER],
            tuple(steps),
            first,
            max(step.tensors for step in steps),
            next((w for w in tape.of(Weights) if w.number > steps[-1].number), None),
        )
        for stage, (first, steps, learned) in found.items()
    )


def could_show(learning: Learning, committed: Committed, block: range) -> bool:
    """Whether a change of `block` would show that what was learned from it reached a score.

    Only a score that was made after the step, and that the block may not move, can tell: what was learned and is
    committed in one go, after other tokens of the block, moves nothing that was to stay.
    """
    early = _earlier(committed.order, committed.scored, block)
    latest = int(committed.order[early].max()) if bool(early.any()) else -1
    inside = (learning.positions >= block.start) & (learning.positions < block.stop)
    return bool((learning.learned[inside] < latest).any())


def missed_learning(tape: Tape, reported: Pass, stream_size: int, planned: Sequence[range]) -> range | None:
    """A block of what was learned from before its score, where no planned block could show that it reached one.

    Documents that training and validation share may be a small part of the stream, and only a change of one of
    them can tell: the block lies around the last such position, so that as many earlier scores as can be are there
    to move. Where that tells nothing, as when only the ends of windows are scored after learning, it is a run of
    such positions alone, or the later half of one. None where none would tell, or hardly any score is there to move.
    """
    length = len(planned[0])
    committed = reported.committed(stream_size)
    for learning in learned_before_scored(tape, reported, stream_size):
        if any(could_show(learning, committed, block) for block in planned):
            continue
        end = int(learning.positions[-1]) + 1
        last = _last_run(learning.positions, length)
        for block in (range(end - length, end), last, last[len(last) // 2 :]):
            if block.stop > 2 * length and could_show(learning, committed, block):
                return block
    return None


def _last_run(positions: NDArray[np.int64], longest: int) -> range:
    """The last positions that follow one another, at most `longest` of them."""
    gaps = np.flatnonzero(np.diff(positions) > 1)
    start = 0 if gaps.size == 0 else int(gaps[-1]) + 1
    run = positions[start:][-longest:]
    return range(int(run[0]), int(run[-1]) + 1)


def _early_losses(
    tape: Tape, reported: Pass, committed: Committed
) -> Iterator[tuple[str, Step, Backward, NDArray[np.bool_]]]:
    """By stage: each step, a backward pass that fed it, and what was in that loss and is committed only later."""
    scores = {event.number: event for event in tape.of(Score)}
    backwards = {event.number: event for event in tape.of(Backward)}
    calls = {tape.stacks.get(score.site, ())[:2] for score in reported.scores}
    for step in tape.of(Step):
        for number in step.backward:
            backward = backwards.get(number)
            if backward is None:
                continue
            unscored = _unscored(backward, scores, committed)
            if not bool(unscored.any()):
                continue
            same_call = len(calls) == 1 and tape.stacks.get(backward.site, ())[:2] in calls
            within = same_call or backward.number > reported.first_event
            yield ("within" if within else "before"), step, backward, unscored


def _unscored(backward: Backward, scores: dict[int, Score], committed: Committed) -> NDArray[np.bool_]:
    """Positions in the loss behind `backward` that the pass commits only later."""
    mask = np.zeros(committed.order.size, dtype=bool)
    for number in backward.scores:
        score = scores.get(number)
        if score is not None:
            mask[score.positions] = True
    return mask & committed.scored & (committed.order > backward.number)


@dataclass(frozen=True)
class Unreported:
    """Validation ids that went through the model between two reports without being reported."""

    positions: int
    ranges: tuple[tuple[int, int], ...]
    first: Forward


def unreported_reads(tape: Tape, run: Run, start: int, stop: int) -> Unreported | None:
    """Forward passes over validation ids between events `start` and `stop` that fed no printed number.

    A forward pass feeds what comes next: a reported score or a backward pass. One from a place in the code
    whose forward passes feed a reported number is a part of that evaluation.
    """
    reported = {score.number for each in run.passes for score in each.scores}
    events = [e for e in tape.events if e.number > start and isinstance(e, Forward | Score | Backward)]
    used: list[Forward] = []
    unused: list[Forward] = []
    for at, event in enumerate(events):
        if isinstance(event, Forward):
            feeds = _feeds(events[at + 1 : at + 6], reported)
            (used if feeds else unused).append(event)
    evaluating = {event.site for event in used}
    silent = [event for event in unused if event.number < stop and event.site not in evaluating]
    if not silent:
        return None
    covered = sorted(r for event in silent for r in event.ranges)
    return Unreported(_length(covered), tuple(covered[:16]), silent[0])


def _feeds(following: Sequence[Forward | Score | Backward], reported: set[int]) -> bool:
    """Whether the events after a forward pass use it for a reported number or for learning."""
    for later in following:
        if isinstance(later, Forward):
            return False
        if isinstance(later, Backward) or later.number in reported:
            return True
    return False


def _length(ranges: list[tuple[int, int]]) -> int:
    total, reach = 0, -1
    for start, stop in ranges:
        start = max(start, reach)
        if stop > start:
            total, reach = total + stop - start, stop
    return total
