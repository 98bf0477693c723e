"""Is one submission a record over another? The gap of their seeds by the written rule and by the final practice.

README asks for 0.005 nats per token, shown at p < 0.01. That can be read as a mean that is 0.005 nats better
and a gap that is real at p < 0.01, or as a gap that is over 0.005 nats at p < 0.01: YES needs the second, NO
denies the first, and what lies between is OPEN. The last leaderboards asked for a one-sided Welch test at
p < 0.25 and no margin (#1899, #1902, #2146).

All tests are in bits per byte, which do not depend on the tokenizer; the margin is turned into them with each
side's own bytes per token. A verdict of NON_COMPLIANT is no record, and NEEDS_REVIEW leaves a YES open.
Cannot see: which of two came first (R-084), and seeds that were run and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

from verifier.finding import WORST_FIRST, State
from verifier.report.model import Report
from verifier.significance import MARGIN_NATS
from verifier.submission import Track
from verifier.verdict import Call
from verifier.welch import Welch, welch

WRITTEN_P, PRACTICE_P = 0.01, 0.25
NEEDED_SEEDS = 3


class Answer(StrEnum):
    YES = "YES"
    NO = "NO"
    OPEN = "OPEN"


@dataclass(frozen=True)
class Ruling:
    """One rule's answer, and why in words."""

    rule: str
    answer: Answer
    why: str


@dataclass(frozen=True)
class Side:
    """One submission's numbers. `values` are bits per byte: one for each seed, else what is claimed."""

    report: Report
    values: tuple[float, ...]
    nats_per_bpb: float | None

    @property
    def mean(self) -> float | None:
        return fmean(self.values) if self.values else None


@dataclass(frozen=True)
class Difference:
    """A check whose worst state differs; None where it did not run."""

    check: str
    challenger: State | None
    holder: State | None
    message: str
    """Of the finding that is worse."""


@dataclass(frozen=True)
class Challenge:
    challenger: Side
    holder: Side
    gap_bpb: float | None
    """How much lower the challenger's mean is."""
    margins_bpb: tuple[float, ...]
    """0.005 nats in bits per byte: by the challenger's bytes per token and by the holder's, where known."""
    better: Welch | None
    """Against no gap."""
    better_by_margin: Welch | None
    """Against a gap of the larger margin."""
    written: Ruling
    practice: Ruling
    only_challenger: tuple[str, ...]
    only_holder: tuple[str, ...]
    shared: tuple[str, ...]
    differences: tuple[Difference, ...]

    @property
    def gap_nats(self) -> float | None:
        """Per token of the challenger, else of the holder."""
        rate = self.challenger.nats_per_bpb or self.holder.nats_per_bpb
        return None if self.gap_bpb is None or rate is None else self.gap_bpb * rate


def challenge(challenger: Report, holder: Report) -> Challenge:
    """Hold the challenger's seeds, techniques and findings against the holder's."""
    one, other = _side(challenger), _side(holder)
    gap = None if one.mean is None or other.mean is None else other.mean - one.mean
    rates = [rate for rate in (one.nats_per_bpb, other.nats_per_bpb) if rate is not None]
    margins = tuple(MARGIN_NATS / rate for rate in rates)
    better = welch(one.values, other.values)
    by_margin = welch(one.values, other.values, max(margins)) if margins else None
    unshown = "" if better is not None else _untested(one, other)
    mine, theirs = challenger.techniques, holder.techniques
    return Challenge(
        challenger=one,
        holder=other,
        gap_bpb=gap,
        margins_bpb=margins,
        better=better,
        better_by_margin=by_margin,
        written=_ruling(
            f"written rule ({MARGIN_NATS} nats at p<{WRITTEN_P})",
            one,
            lambda: _written(gap, margins, better, by_margin, unshown),
        ),
        practice=_ruling(
            f"final practice (Welch p<{PRACTICE_P})", one, lambda: _practice(gap, better, unshown)
        ),
        only_challenger=tuple(each for each in mine if each not in theirs),
        only_holder=tuple(each for each in theirs if each not in mine),
        shared=tuple(each for each in mine if each in theirs),
        differences=tuple(_differences(challenger, holder)),
    )


def _side(report: Report) -> Side:
    values = tuple(run.val_bpb for run in report.seed_runs)
    rates = [rate for run in report.seed_runs if (rate := run.nats_per_bpb)]
    if not values and report.bpb.claimed is not None:
        values = (report.bpb.claimed,)
    return Side(report, values, fmean(rates) if rates else None)


def _ruling(rule: str, side: Side, numbers: Callable[[], tuple[Answer, str]]) -> Ruling:
    """The numbers' answer, unless the submission cannot be a record whatever they say."""
    report = side.report
    if report.verdict.call is Call.NON_COMPLIANT:
        failed = sorted({finding.check for finding in report.in_state(State.FAIL)})
        return Ruling(rule, Answer.NO, f"its audit is NON_COMPLIANT: {', '.join(failed)}")
    if report.submission.track == Track.NON_RECORD:
        return Ruling(rule, Answer.NO, "it is on the non-record track")
    answer, why = numbers()
    if answer is Answer.YES and len(side.values) < NEEDED_SEEDS:
        return Ruling(rule, Answer.NO, f"{why}; but {len(side.values)} seeds, and {NEEDED_SEEDS} are needed")
    if answer is Answer.YES and report.verdict.call is not Call.COMPLIANT:
        level = report.run.level
        ran = "" if level == "probes" else f" (level {level}: nothing was run)"
        return Ruling(rule, Answer.OPEN, f"{why} would do, but its audit is {report.verdict.call}{ran}")
    return Ruling(rule, answer, why)


def _written(
    gap: float | None,
    margins: tuple[float, ...],
    better: Welch | None,
    by_margin: Welch | None,
    unshown: str,
) -> tuple[Answer, str]:
    if gap is None:
        return Answer.OPEN, "a side gives no bits per byte"
    if gap <= 0.0:
        return Answer.NO, "its mean is not lower"
    if not margins:
        return Answer.OPEN, "no log gives nats per token, so the margin is unknown"
    if gap < min(margins):
        return Answer.NO, f"{gap:.5f} BPB of the {min(margins):.5f} that {MARGIN_NATS} nats are"
    if better is None or by_margin is None:
        return Answer.OPEN, unshown
    if better.p >= WRITTEN_P:
        return Answer.NO, f"p {better.p:.3g} that it is no better"
    if by_margin.p < WRITTEN_P:
        return Answer.YES, f"p {by_margin.p:.2g} that the gap is under {max(margins):.5f} BPB"
    return Answer.OPEN, (
        f"the mean gap is {gap:.5f} BPB and real (p {better.p:.2g}), but over {max(margins):.5f} only at "
        f"p {by_margin.p:.2g}"
    )


def _practice(gap: float | None, better: Welch | None, unshown: str) -> tuple[Answer, str]:
    if gap is None:
        return Answer.OPEN, "a side gives no bits per byte"
    if gap <= 0.0:
        return Answer.NO, "its mean is not lower"
    if better is None:
        return Answer.OPEN, unshown
    return (Answer.YES if better.p < PRACTICE_P else Answer.NO), f"p {better.p:.3g}"


def _untested(one: Side, other: Side) -> str:
    """Why there is no test."""
    for side, name in ((one, "the challenger"), (other, "the holder")):
        if len(side.values) < 2:
            count = "no value" if not side.values else "one value"
            return f"{name} has {count}, and Welch's test needs two on each side"
    return "neither side has any spread, so Welch's test is undefined"


def _differences(challenger: Report, holder: Report) -> Iterator[Difference]:
    """Worst first by either side."""
    mine, theirs = _worst(challenger), _worst(holder)
    found = []
    for check in {*mine, *theirs}:
        left, right = mine.get(check), theirs.get(check)
        ranks = [WORST_FIRST.index(side[0]) if side else len(WORST_FIRST) for side in (left, right)]
        if ranks[0] != ranks[1]:
            worse = left if ranks[0] < ranks[1] else right
            state = (left and left[0], right and right[0])
            found.append((min(ranks), check, Difference(check, *state, worse[1] if worse else "")))
    return (each for _, _, each in sorted(found, key=lambda row: row[:2]))


def _worst(report: Report) -> dict[str, tuple[State, str]]:
    """The worst state of each check and the message that goes with it."""
    found: dict[str, tuple[State, str]] = {}
    for state in WORST_FIRST:
        for finding in report.in_state(state):
            found.setdefault(finding.check, (state, finding.message))
    return found
