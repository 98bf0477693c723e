"""T3-late-data: training data read after the training budget, by calibration or pruning."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from verifier.checks import check
from verifier.checks.training import (
    BUDGET_SECONDS,
    ONE_STEP_SECONDS,
    OVERSHOOT_SECONDS,
    is_official,
    train_seconds,
)
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, State, Where, not_applicable
from verifier.headline import at, claimed_logs, is_behind_claim
from verifier.intake.syntax import Broken, syntax_of
from verifier.printed import Data, calls_reading, printed
from verifier.submission import Log, LoggedLine, Submission, Track

TOLERATED_SECONDS = 607.0
"""Training plus Hessians of merged rows that keep a reserve reach 604.3 (#1855) and 606.6 (#2135)."""
LONG_SECONDS = 10.0
"""Calibration longer than this beyond the tolerance was closed in March (#1028)."""

_TITLE = "no training data is read after the training budget"
_RESERVES = re.compile(r"reserve(?!d)", re.IGNORECASE)


@dataclass(frozen=True)
class _Late:
    """Calibration on training data that began when the whole budget was spent."""

    log: Log
    phase: LoggedLine
    shown_by: Where


@check("T3-late-data", title=_TITLE, grade=Grade.LOG, rules=("R-015", "R-016"))
def late_data(evidence: Evidence) -> list[Outcome]:
    """Calibration that reads training data (GPTQ's Hessians, pruning, activation statistics) is training, and
    belongs inside the 600 seconds. Two readings of each claimed log. The stop line's training
    time is joined with the calibration lines that follow it and with the loader that the script hands on
    where it prints them. And the logged seconds of calibration (`collected N Hessians in 3.4s`) are added to
    the training time.

    PASS: calibration on training data, and together with training within 600.5 s. FAIL: the loop itself took
    600 s or more, so nothing was reserved, and a logged phase after it read training data, by the log's
    own words or by the script at the line that prints it; or the two together pass 607 s with over 10 s of
    calibration. WARN (R-016 alone, advice): the loop ended below 600 s and calibration went past it, up to
    607 s, as merged rows do. WARN: the script calibrates on training data with no reserve, and no log shows
    when. NOT_APPLICABLE: the non-record track, or no calibration on training data: text that the model
    generated itself, or a search on the weights, reads none.

    Cannot see: a phase that prints nothing (C3-order's tape shows its reads), or a loader under another name.

    Ruling: #529, #569, #576, #593, #606 (3.6 s over), #609, #615, #626, #639, #656, #706 (2026-03-24 and 25)
    and #1028 (2026-03-28) were closed for it. Merged with a reserve: #1394, #1855 (604.3 s), #2135 (606.6 s).
    Self-generated calibration was merged with a stop at 600.1 s (#1019).

    Violation: `stopping_early: wallclock_cap train_time:600038ms` and then `gptq:calibrating with training
    data...`, `gptq:calibrated 68 layers in 3.4s`. Legal contrast: `train_time:588026ms` and then
    `GPTQ:collected 67 Hessians in 11.4s`.
    """
    submission = evidence.submission
    if submission.track is Track.NON_RECORD:
        return [not_applicable("the non-record track has no training limit")]
    logs = [log for log in claimed_logs(submission) if log.train_ms is not None]
    late = [each for log in logs if (each := _late(submission, log))]
    official = [each for each in late if _spent_the_budget(submission, each.log)]
    if official:
        return [_after_the_budget(official)]
    outcomes = list(_together(submission, logs))
    if not outcomes and not logs:
        outcomes = list(_only_code(submission))
    return outcomes or [not_applicable("no calibration on training data is logged")]


def _late(submission: Submission, log: Log) -> _Late | None:
    if log.stop_line is None or train_seconds(log) < BUDGET_SECONDS:
        return None
    if log.calibration_source in ("val", "self-generated"):
        return None
    phases = [phase for phase in log.late_calibration if phase.line > log.stop_line]
    source = submission.script.source if submission.script else ""
    reads = [(phase, place) for phase in phases for place in printed(source, phase.text)]
    if any(place.reads.keys() - {Data.TRAIN} for _, place in reads):
        return None  # beside validation or generated data, the script does not say which of them was read
    for phase, place in reads:
        if submission.script is not None and place.only is Data.TRAIN:
            return _Late(log, phase, Where(submission.script.path, place.reads[Data.TRAIN]))
    if phases and log.calibration_source == "train":
        return _Late(log, phases[0], at(log, phases[0].line))
    return None


def _spent_the_budget(submission: Submission, log: Log) -> bool:
    """On eight GPUs; or a record's log that prints no number of them, stopped by the contest's own cap."""
    if log.world_size is None and submission.track is Track.TEN_MINUTES:
        return is_behind_claim(submission, log) and train_seconds(log) <= OVERSHOOT_SECONDS
    return is_official(submission, log)


def _after_the_budget(late: list[_Late]) -> Outcome:
    worst = max(late, key=lambda each: train_seconds(each.log))
    log = worst.log
    took = f", {log.calibration_seconds:.1f} s" if log.calibration_seconds is not None else ""
    more = f", and {len(late) - 1} more logs" if len(late) > 1 else ""
    return Outcome(
        State.FAIL,
        f"{train_seconds(log):.3f} s of training used up the {BUDGET_SECONDS:.0f} s; then "
        f"{worst.phase.text.strip()[:80]!r}{took}: training data, as {worst.shown_by} shows{more}",
        (at(log, log.stop_line), at(log, worst.phase.line), worst.shown_by),
        {
            "train_seconds": {each.log.path: train_seconds(each.log) for each in late},
            "calibration_seconds": log.calibration_seconds,
        },
        try_next="end the step loop early enough that calibration ends within 600 s, and log both",
        rules=("R-015",),
    )


def _together(submission: Submission, logs: list[Log]) -> Iterator[Outcome]:
    calibrated = [
        log
        for log in logs
        if log.calibration_seconds is not None and log.calibration_source not in ("val", "self-generated")
    ]
    if not calibrated:
        return
    worst = max(calibrated, key=lambda log: train_seconds(log) + (log.calibration_seconds or 0.0))
    training, calibration = train_seconds(worst), worst.calibration_seconds or 0.0
    together = training + calibration
    message = f"{training:.1f} s of training and {calibration:.1f} s of calibration are {together:.1f} s"
    rules: tuple[str, ...] = ("R-015",)
    if together <= ONE_STEP_SECONDS:
        state, note = State.PASS, ""
    elif together <= TOLERATED_SECONDS and training < BUDGET_SECONDS:
        state, note, rules = State.WARN, "; merged rows with a reserve reach 606.6 s", ("R-016",)
    elif together > TOLERATED_SECONDS and calibration > LONG_SECONDS and is_official(submission, worst):
        state, note = State.FAIL, ""
    else:
        state, note = State.WARN, ""
    yield Outcome(
        state,
        f"{message}, limit {BUDGET_SECONDS:.0f} s{note}",
        (at(worst, worst.train_line), at(worst, worst.calibration_line)),
        {"train_seconds": training, "calibration_seconds": calibration},
        try_next=None if state is State.PASS else "reserve the calibration's seconds in the training cap",
        rules=rules,
    )


def _only_code(submission: Submission) -> Iterator[Outcome]:
    """No log says when it ran: the script alone can raise the question, never answer it."""
    script = submission.script
    if script is None or _RESERVES.search(script.source) or isinstance(syntax_of(script.source), Broken):
        return
    line = calls_reading(script.source, Data.TRAIN, ("calibrat", "hessian"))
    if line is not None:
        yield Outcome(
            State.WARN,
            "the script calibrates on training data and reserves no time for it; no log shows when it ran",
            (Where(script.path, line),),
            try_next="ship the logs, with the stop line and the calibration's seconds",
            grade=Grade.STATIC,
            rules=("R-015",),
        )
