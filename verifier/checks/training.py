"""T1-training: logged training time against 600 seconds."""

from __future__ import annotations

from verifier.checks import check
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, failed, not_applicable, passed, unverified, warned
from verifier.headline import at, claimed_logs, is_behind_claim
from verifier.submission import Log, Submission, Track

BUDGET_SECONDS = 600.0
ONE_STEP_SECONDS = 600.5
"""The loop stops after the step that crosses the cap; 300 of 937 pull requests end in 600.0 to 600.5 s."""
OVERSHOOT_SECONDS = 605.0
"""Beyond any step of a run on eight GPUs: the cap did not stop it (#1945 had to rerun 602.048 s)."""
OFFICIAL_WORLD_SIZE = 8


@check(
    "T1-training",
    title="training ends within 600 seconds",
    grade=Grade.LOG,
    rules=("R-013",),
)
def training(evidence: Evidence) -> list[Outcome]:
    """Reads each claimed log's last training time. It must fit the 600 second budget on eight GPUs.
    Calibration after it is T3-late-data's.

    PASS: within 600.5 s (the step that crosses the cap is the normal overshoot). WARN: 600.5 to 605 s: the
    letter is broken, and rows like that were merged. FAIL: over 605 s, in a log that says it ran on eight
    GPUs. NOT_APPLICABLE on the non-record track. UNVERIFIED: no training time in the logs.

    Cannot see: work before the timer starts, or a timer that is paused.

    Ruling: README; #1945 (2026-05-02, 602.048 s was rerun), #1908 (601.153 s by a forced step, not a row).

    Violation: `stopping_early: wallclock_cap train_time: 1188000ms` on eight GPUs. Legal contrast:
    `train_time:600038ms`, the step that crosses the cap.
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
    return [_train(submission, timed)]


def is_official(submission: Submission, log: Log) -> bool:
    """Only a run of the claim, on the official number of GPUs, can break the limit."""
    return log.world_size == OFFICIAL_WORLD_SIZE and is_behind_claim(submission, log)


def train_seconds(log: Log) -> float:
    """The least time that the printed digits allow: `10.0m` is 597 seconds or more."""
    return max((log.train_ms or 0.0) - log.train_rounding_ms, 0.0) / 1000.0


def _train(submission: Submission, timed: list[Log]) -> Outcome:
    worst = max(timed, key=train_seconds)
    seconds = train_seconds(worst)
    where = at(worst, worst.train_line)
    times = {log.path: train_seconds(log) for log in timed}
    if seconds <= ONE_STEP_SECONDS:
        step = " (the step that crosses the cap)" if seconds > BUDGET_SECONDS else ""
        message = f"{seconds:.3f} s at most over {len(timed)} logs, limit {BUDGET_SECONDS:.0f} s{step}"
        return passed(message, where, train_seconds=times)
    message = f"{seconds:.3f} s of training, limit {BUDGET_SECONDS:.0f} s"
    if seconds > OVERSHOOT_SECONDS and is_official(submission, worst):
        return failed(message, where, train_seconds=times)
    if seconds > OVERSHOOT_SECONDS and worst.world_size != OFFICIAL_WORLD_SIZE:
        gpus = "does not say on how many GPUs" if worst.world_size is None else f"ran on {worst.world_size}"
        message = f"{message}; the log {gpus} (the limit is for {OFFICIAL_WORLD_SIZE})"
    return warned(message, where, train_seconds=times)
