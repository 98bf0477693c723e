"""Replay: does a recorded finding come out again, from the same script and the same seed?

A replay is an audit with the recorded seed; this module only compares. It can tell that a report was not
made by this script on a machine like this one. It cannot tell why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from verifier.finding import Finding, State
from verifier.report.model import Report

AGREEMENT = 0.01
"""Relative. On one machine runs are equal to the bit; another CPU's kernels round elsewhere, and a short
training run carries that to the third or fourth digit of a loss. A leak is hundreds of times its floor."""
CLOCK_NAMES = ("seconds", "_ms")
"""Evidence that measures this machine's speed, and so is not compared."""


class Pair(NamedTuple):
    """One number of the evidence, as recorded and as it came out now."""

    name: str
    recorded: float
    replayed: float | None

    @property
    def agrees(self) -> bool:
        if self.replayed is None:
            return False
        return abs(self.recorded - self.replayed) <= AGREEMENT * max(abs(self.recorded), abs(self.replayed))


@dataclass(frozen=True)
class Comparison:
    """One recorded finding beside what the replay found in its place."""

    recorded: Finding
    replayed: Finding | None
    """None when the check did not speak again."""
    pairs: tuple[Pair, ...]

    @property
    def agrees(self) -> bool:
        """Same state, and every number within `AGREEMENT`."""
        same_state = self.replayed is not None and self.replayed.state is self.recorded.state
        return same_state and all(pair.agrees for pair in self.pairs)


def replayable_checks(report: Report) -> tuple[str, ...]:
    """The checks with a finding that can be rerun: those that FAILed first, each once."""
    found = [finding for finding in report.findings if finding.replayable]
    found.sort(key=lambda finding: finding.state is not State.FAIL)
    return tuple(dict.fromkeys(finding.check for finding in found))


def compare(recorded: Report, replayed: Report, check: str) -> tuple[Comparison, ...]:
    """The check's recorded findings, each beside the finding in the same place of the replay."""
    before = [finding for finding in recorded.findings if finding.check == check]
    after = [finding for finding in replayed.findings if finding.check == check]
    padded = [*after, *[None] * len(before)]
    return tuple(_compare(finding, padded[index]) for index, finding in enumerate(before))


def _compare(recorded: Finding, replayed: Finding | None) -> Comparison:
    now = {} if replayed is None else _numbers(replayed)
    return Comparison(
        recorded,
        replayed,
        tuple(Pair(name, value, now.get(name)) for name, value in _numbers(recorded).items()),
    )


def _numbers(finding: Finding) -> dict[str, float]:
    return {
        name: value
        for name, value in finding.evidence.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and not name.endswith(CLOCK_NAMES)
    }
