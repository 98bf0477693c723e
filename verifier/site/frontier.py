"""The lowest bits per byte over time: as claimed, without what is broken, and of what is compliant.

Only claims that a log supports count, and not the non-record track: a placeholder is no claim. Days are the
authors' own, and some are mistyped: numbers run in order of creation, so a pull request is no earlier than the
median of those before it, and takes that day where it gives none (#1618 says 2026-03-19). What has neither day
nor number is left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median_low

from verifier.site.entry import Entry
from verifier.submission import Track
from verifier.verdict import Call

NEIGHBOURS = 21
"""Pull requests before one whose median day bounds its own."""
LINES: dict[str, Callable[[Entry], bool]] = {
    "claimed": lambda entry: True,
    "not broken": lambda entry: entry.verdict in (Call.COMPLIANT, Call.NEEDS_REVIEW),
    "compliant": lambda entry: entry.verdict == Call.COMPLIANT,
}
"""Each line and whom it counts, the lowest line first."""


@dataclass(frozen=True)
class Step:
    """A claim that was lower than all before it."""

    day: date
    val_bpb: float
    name: str
    pr: int | None
    page: str | None


def frontiers(entries: Iterable[Entry]) -> dict[str, tuple[Step, ...]]:
    """The steps of each line, in order of time; none where nobody is counted."""
    timed = _timed(entry for entry in entries if _counts(entry))
    return {name: _steps(timed, keep) for name, keep in LINES.items()}


def _counts(entry: Entry) -> bool:
    claimed = entry.claimed_bpb
    return claimed is not None and claimed > 0.0 and bool(entry.seed_runs) and entry.track != Track.NON_RECORD


def _timed(entries: Iterable[Entry]) -> list[tuple[date, Entry]]:
    timed: list[tuple[date, Entry]] = []
    before: deque[date] = deque(maxlen=NEIGHBOURS)
    for entry in sorted(entries, key=lambda each: each.pr or 0):
        days = [] if entry.day is None else [entry.day]
        if entry.pr is not None and before:
            days.append(median_low(before))
        if days:
            timed.append((max(days), entry))
        if entry.pr is not None and entry.day is not None:
            before.append(entry.day)
    return sorted(timed, key=lambda each: (each[0], each[1].pr or 0))


def _steps(timed: Sequence[tuple[date, Entry]], keep: Callable[[Entry], bool]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for day, entry in timed:
        bpb = entry.claimed_bpb
        if bpb is not None and keep(entry) and (not steps or bpb < steps[-1].val_bpb):
            steps.append(Step(day, bpb, entry.name, entry.pr, entry.page))
    return tuple(steps)
