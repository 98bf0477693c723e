"""T1-training: logged training time, and calibration on training data after it, against 600 seconds."""

from __future__ import annotations

from dataclasses import replace

from verifier.checks import check
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, State, failed, not_applicable, passed, unverified, warned
from verifier.headline import at, claimed_logs, is_behind_claim
from verifier.submission import Log, Submission, Track

BUDGET_SECONDS = 600.0
ONE_STEP_SECONDS = 600.5
"""The loop stops after the step that crosses the cap; 300 of 937 pull requests end in 600.0 to 600.5 s."""
OVERSHOOT_SECONDS = 605.0
"""Beyond any step of a run on eight GPUs: the cap did not stop it (#1945 had to rerun 602.048 s)."""
TOLERATED_DATA_SECONDS = 607.0
"""Training plus Hessians of merged rows reach 604.3 (#1855) and 606.6 (#2135)."""
RESERVE_SECONDS = 10.0
"""Calibration longer than this with no reserve in the budget was closed in March (#593, #1028)."""
OFFICIAL_WORLD_SIZE = 8


@check(
    "T1-training",
    title="training and calibration end within 600 seconds",
    grade=Grade.LOG,
    rules=("R-013", "R-015"),
)
def training(evidence: Evidence) -> list[Outcome]:
    """Reads each claimed log's last training time, and the seconds of calibration on training data after it
    (`collected N Hessians in 3.4s`). Both must fit the 600 second budget on eight GPUs.

    PASS: training within 600.5 s (the step that crosses the cap is the normal overshoot), and training plus
    calibration within 600.5 s. WARN: training of 600.5 to 605 s, or training plus calibration up to 607 s:
    the letter is broken, and rows like that were merged. FAIL: over 605 s of training, or over 607 s
    together with more than 10 s of calibration, in a log that says it ran on eight GPUs.
    NOT_APPLICABLE on the non-record track. UNVERIFIED: no training time in the logs.

    Cannot see: work before the timer starts, a timer that is paused, or calibration that prints nothing.

    Ruling: README; #593 and #606 (2026-03-24, calibration 3.6 s over), #1028 (2026-03-28); #1945 (2026-05-02,
    602.048 s was rerun). Merged with 604.3 s and 606.6 s together: #1855, #2135.

    Violation: `stopping_early: wallclock_cap train_time: 1188000ms` on eight GPUs. Legal contrast:
    `train_time: 588026ms` and then `GPTQ:collected 67 Hessians in 11.4s`.
    """
    submission = evidence.submission
    if submission.track is Track.NON_RECORD:
        return [not_applicable("the non-record track has no training limit")]
    timed = [log for log in claimed_logs(submission) if log.train_ms is not None]
    if not timed:
        return [
            unverified(
                "0 claimed logs give a training time",
                *(at(log, None) for log in submission.logs),
                try_next="ship logs with the stop line's `train_time:`",
            )
        ]
    return [_train(submission, timed), *_calibration(submission, timed)]


def _is_official(submission: Submission, log: Log) -> bool:
    """Only a run of the claim, on the official number of GPUs, can break the limit."""
    return log.world_size == OFFICIAL_WORLD_SIZE and is_behind_claim(submission, log)


def _seconds(log: Log) -> float:
    """The least time that the printed digits allow: `10.0m` is 597 seconds or more."""
    return max((log.train_ms or 0.0) - log.train_rounding_ms, 0.0) / 1000.0


def _train(submission: Submission, timed: list[Log]) -> Outcome:
    worst = max(timed, key=_seconds)
    seconds = _seconds(worst)
    where = at(worst, worst.train_line)
    times = {log.path: _seconds(log) for log in timed}
    if seconds <= ONE_STEP_SECONDS:
        step = " (the step that crosses the cap)" if seconds > BUDGET_SECONDS else ""
        message = f"{seconds:.3f} s at most over {len(timed)} logs, limit {BUDGET_SECONDS:.0f} s{step}"
        return _for_training(passed(message, where, train_seconds=times))
    message = f"{seconds:.3f} s of training, limit {BUDGET_SECONDS:.0f} s"
    if seconds > OVERSHOOT_SECONDS and _is_official(submission, worst):
        return _for_training(failed(message, where, train_seconds=times))
    if seconds > OVERSHOOT_SECONDS and worst.world_size != OFFICIAL_WORLD_SIZE:
        gpus = "does not say on how many GPUs" if worst.world_size is None else f"ran on {worst.world_size}"
        message = f"{message}; the log {gpus} (the limit is for {OFFICIAL_WORLD_SIZE})"
    return _for_training(warned(message, where, train_seconds=times))


def _calibration(submission: Submission, timed: list[Log]) -> list[Outcome]:
    calibrated = [
        log
        for log in timed
        if log.calibration_seconds is not None and log.calibration_source not in ("val", "self-generated")
    ]
    if not calibrated:
        return []
    worst = max(calibrated, key=lambda log: _seconds(log) + (log.calibration_seconds or 0.0))
    calibration = worst.calibration_seconds or 0.0
    together = _seconds(worst) + calibration
    places = (at(worst, worst.train_line), at(worst, worst.calibration_line))
    message = (
        f"{_seconds(worst):.1f} s of training and {calibration:.1f} s of calibration are {together:.1f} s"
    )
    evidence = {"train_seconds": _seconds(worst), "calibration_seconds": calibration}
    if together <= ONE_STEP_SECONDS:
        state, note = State.PASS, f", limit {BUDGET_SECONDS:.0f} s"
    elif together <= TOLERATED_DATA_SECONDS:
        state, note = State.WARN, f", limit {BUDGET_SECONDS:.0f} s; merged rows reach 606.6 s"
    elif calibration > RESERVE_SECONDS and _is_official(submission, worst):
        state, note = State.FAIL, f", limit {BUDGET_SECONDS:.0f} s"
    else:
        state, note = State.WARN, f", limit {BUDGET_SECONDS:.0f} s"
    return [
        Outcome(
            state,
            message + note,
            places,
            evidence,
            try_next=None if state is State.PASS else "reserve the calibration's seconds in the training cap",
            rules=("R-015",),
        )
    ]


def _for_training(outcome: Outcome) -> Outcome:
    return replace(outcome, rules=("R-013",))
