"""X16-timer: switches that take the clock away."""

from __future__ import annotations

import re
from collections.abc import Iterator

from verifier.checks import check
from verifier.checks.static_base import look, nothing, unread
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where, not_applicable
from verifier.static import Source
from verifier.submission import Track

BUDGET_SECONDS = 600.0
_FORCED = re.compile(r"^FORCE_?STOP_?STEP$|^STOP_AT_STEP$")
_OUTSIDE = re.compile(r"PRECOMPUTE_OUTSIDE$")


@check(
    "X16-timer",
    title="the clock stops training, and covers the evaluation",
    grade=Grade.STATIC,
    rules=("R-013", "R-018"),
)
def timer(evidence: Evidence) -> Outcome:
    """Reads the submitted environment for switches that take the clock away: `MAX_WALLCLOCK_SECONDS` at 0 or over 600,
    a forced last step, hints computed outside the evaluation's timer.

    WARN: such a value is in force. NOT_APPLICABLE on the non-record track, or when there is none.

    Cannot see: work before the timer starts, or a timer that is paused; T1 and T2 read the logged times.

    Ruling: #1908 (601.153 s by a forced step, not a row); #1945 (rerun); #2018 and #2041 on hints inside the timer.

    Violation: `MAX_WALLCLOCK_SECONDS=1200`. Legal contrast: 599.5 with calibration inside; `FORCE_STOP_STEP=0`; no cap on
    the non-record track.
    """
    source = evidence.source
    if source is None:
        return unread()
    if evidence.submission.track is Track.NON_RECORD:
        return not_applicable("the non-record track has no training limit")
    found = list(_set(source))
    if not found:
        return nothing(source, "switch that takes the clock away")
    return look(", ".join(said for said, _ in found), [where for _, where in found])


def _set(source: Source) -> Iterator[tuple[str, Where]]:
    switches = source.program.switches
    for name, read in switches.variables.items():
        value = switches.value(name)
        number = _number(value)
        where = Where(source.program.functions[0].file, read.line)
        if number is None:
            continue
        if name == "MAX_WALLCLOCK_SECONDS" and (number <= 0 or number > BUDGET_SECONDS):
            yield f"the training cap is {value} seconds, limit {BUDGET_SECONDS:.0f}", where
        elif (_FORCED.search(name) or _OUTSIDE.search(name)) and number > 0:
            yield f"{name} is {value}", where


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
