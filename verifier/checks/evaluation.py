"""T2-evaluation: logged evaluation time of the claimed number, against 600 seconds."""

from __future__ import annotations

from dataclasses import dataclass

from verifier.checks import check
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where, failed, not_applicable, passed, unverified, warned
from verifier.headline import at, claimed_logs, headline_metric, is_behind_claim, rests_on
from verifier.submission import Log, Submission, Track

BUDGET_SECONDS = 600.0
OFFICIAL_WORLD_SIZE = 8


@dataclass(frozen=True)
class _Timing:
    seconds: float
    what: str
    where: Where
    log: Log


@check(
    "T2-evaluation",
    title="the claimed number is scored within 600 seconds",
    grade=Grade.LOG,
    rules=("R-018",),
)
def evaluation(evidence: Evidence) -> list[Outcome]:
    """Reads each claimed log's `total_eval_time`, else the `eval_time` on the line of the claimed result.
    Evaluations of other labels are diagnostics and do not count.

    PASS: at most 600 s in every log. FAIL: over 600 s in a log that says it ran on eight GPUs; or
    submission.json itself states more for its evaluation, where claimed logs of eight GPUs print no total.
    WARN: over 600 s on other or unnamed hardware. NOT_APPLICABLE on the non-record track. UNVERIFIED: no
    time logged.

    Cannot see: work on the validation stream before the timer starts, such as hint tables, and compile
    warm-up, which merged logs leave out.

    Ruling: README; #529 (616 s, 2026-03-24), #1972 (688 s in its own submission.json, 2026-05-02). Never
    ruled: whether warm-up counts.

    Violation: `total_eval_time:708.1s` on eight GPUs. Legal contrast: a diagnostic evaluation of 56 s beside
    `quantized_ttt_phased … eval_time:567100ms`.
    """
    submission = evidence.submission
    if submission.track is Track.NON_RECORD:
        return [not_applicable("the non-record track has no evaluation limit")]
    stated = _stated(submission)
    timings = [timing for log in claimed_logs(submission) if (timing := _timing(submission, log))]
    worst = max(timings, key=lambda timing: timing.seconds, default=None)
    if worst is None or (worst.seconds <= BUDGET_SECONDS and _exceeds(submission, stated)):
        return [_from_json(submission, stated)]
    times = {timing.where.file: timing.seconds for timing in timings}
    message = f"{worst.seconds:.1f} s ({worst.what})"
    if worst.seconds <= BUDGET_SECONDS:
        return [
            passed(
                f"{message} at most over {len(timings)} logs, limit {BUDGET_SECONDS:.0f} s",
                worst.where,
                eval_seconds=times,
            )
        ]
    message = f"{message}, limit {BUDGET_SECONDS:.0f} s"
    world_size = worst.log.world_size
    if world_size == OFFICIAL_WORLD_SIZE and is_behind_claim(submission, worst.log):
        return [failed(message, worst.where, eval_seconds=times)]
    if world_size == OFFICIAL_WORLD_SIZE:
        why = "no claimed number rests on the log"
    else:
        gpus = "does not say on how many GPUs" if world_size is None else f"ran on {world_size}"
        why = f"the log {gpus} (the limit is for {OFFICIAL_WORLD_SIZE})"
    return [
        warned(
            f"{message}; {why}",
            worst.where,
            eval_seconds=times,
        )
    ]


def eval_seconds(submission: Submission, log: Log) -> float | None:
    """Of the evaluation that gave the claimed number, by the log; None where it does not say."""
    timing = _timing(submission, log)
    return None if timing is None else timing.seconds


def _timing(submission: Submission, log: Log) -> _Timing | None:
    if log.eval_seconds_total is not None:
        where = at(log, log.eval_line)
        return _Timing(log.eval_seconds_total, "total_eval_time", where, log)
    metric = headline_metric(submission, log)
    if metric is None:
        return None
    # A script often prints the result twice, once with its time and once with all its digits.
    same = [
        each
        for each in log.metrics
        if each.final
        and each.eval_ms is not None
        and (each.label == metric.label or each.label == metric.label.removesuffix("_exact"))
        and (each.label == metric.label or rests_on(submission, each) == rests_on(submission, metric))
    ]
    if not same:
        return None
    timed = same[-1]
    return _Timing((timed.eval_ms or 0.0) / 1000.0, timed.label, at(log, timed.line), log)


@dataclass(frozen=True)
class _Stated:
    """The largest evaluation time in submission.json, and whether eight GPUs of claimed logs took it."""

    seconds: float
    official: bool
    where: Where


def _stated(submission: Submission) -> _Stated | None:
    claim = submission.claim
    stated = [seed.eval_seconds for seed in claim.seeds if seed.eval_seconds is not None]
    if claim.eval_seconds is not None:
        stated.append(claim.eval_seconds)
    if not stated:
        return None
    logs = claimed_logs(submission)
    official = bool(logs) and all(
        log.world_size == OFFICIAL_WORLD_SIZE and is_behind_claim(submission, log) for log in logs
    )
    return _Stated(max(stated), official, claim.where or Where("submission.json"))


def _exceeds(submission: Submission, stated: _Stated | None) -> bool:
    """Does submission.json admit a breach that the logs leave open? A logged total closes it."""
    totals = [log for log in claimed_logs(submission) if log.eval_seconds_total is not None]
    return stated is not None and stated.seconds > BUDGET_SECONDS and not totals


def _from_json(submission: Submission, stated: _Stated | None) -> Outcome:
    if stated is None or stated.seconds <= BUDGET_SECONDS:
        said = f"; submission.json states {stated.seconds:.1f} s" if stated else ""
        return unverified(
            f"0 claimed logs time the claimed result{said}",
            submission.claim.where or Where("submission.json"),
            try_next="print `total_eval_time:` around everything that touches the validation stream",
        )
    message = f"submission.json states {stated.seconds:.1f} s, limit {BUDGET_SECONDS:.0f} s"
    if stated.official:
        return failed(message, stated.where, eval_seconds=stated.seconds)
    return warned(f"{message}; no log of eight GPUs stands behind it", stated.where)
