"""Which logs and which logged numbers a claim rests on.

A folder often holds logs of ablations, earlier attempts and other machines. A number from one of those
must not be held against the claim, so every document check asks here first.
"""

from __future__ import annotations

import math
from statistics import fmean

from verifier.finding import Where
from verifier.reference import printed_digits
from verifier.submission import Log, Metric, Submission

CLAIM_DISTANCE_BPB = 1e-3
"""A logged result this near to a claimed number is taken to be the run behind it."""

SAME_RUN_BPB = 1e-4
"""Two logs of one seed whose results differ by more are two runs; rounding and reprints stay within it."""


def claimed_numbers(submission: Submission) -> tuple[float, ...]:
    """Headline and per-seed bits per byte of submission.json."""
    claim = submission.claim
    numbers = (claim.val_bpb, *(seed.val_bpb for seed in claim.seeds))
    return tuple(number for number in numbers if number is not None)


def final_metrics(log: Log) -> tuple[Metric, ...]:
    return tuple(metric for metric in log.metrics if metric.final and metric.val_bpb is not None)


def rests_on(submission: Submission, metric: Metric) -> bool:
    """Is this logged result one that the claim repeats, to within `CLAIM_DISTANCE_BPB`?"""
    return metric.val_bpb is not None and any(
        abs(metric.val_bpb - number) < CLAIM_DISTANCE_BPB for number in claimed_numbers(submission)
    )


def claimed_logs(submission: Submission) -> tuple[Log, ...]:
    """The logs that the claim rests on: their results repeat a claimed number, or their seed is claimed.

    Where the claim names its seeds, a log of another seed is left out. With a claim that no log supports,
    or no claim, every log with a result is returned; `is_behind_claim` tells that case apart.
    """
    seeds = {seed.seed for seed in submission.claim.seeds if seed.seed is not None}
    with_results = tuple(log for log in submission.logs if final_metrics(log))
    supporting = tuple(
        log for log in with_results if any(rests_on(submission, metric) for metric in final_metrics(log))
    )
    if supporting and seeds:
        same_label = {m.label for log in supporting for m in final_metrics(log) if rests_on(submission, m)}
        supporting = tuple(
            log
            for log in with_results
            if log in supporting
            or (log.seed in seeds and any(m.label in same_label for m in final_metrics(log)))
        )
        of_seeds = tuple(log for log in supporting if log.seed is None or log.seed in seeds)
        supporting = _own_runs(submission, of_seeds or supporting)
    return supporting or with_results


def _own_runs(submission: Submission, logs: tuple[Log, ...]) -> tuple[Log, ...]:
    """Without a seed's earlier attempts: where its claimed number is given, the logs nearest to it."""
    stated = {row.seed: row.val_bpb for row in submission.claim.seeds if row.val_bpb is not None}

    def gap(log: Log) -> float:
        number = stated[log.seed]
        return min(abs((metric.val_bpb or 0.0) - number) for metric in final_metrics(log))

    nearest: dict[int | None, float] = {}
    for log in logs:
        if log.seed in stated:
            nearest[log.seed] = min(gap(log), nearest.get(log.seed, math.inf))
    return tuple(
        log
        for log in logs
        if log.seed not in stated
        or nearest[log.seed] >= CLAIM_DISTANCE_BPB
        or gap(log) < nearest[log.seed] + SAME_RUN_BPB
    )


def is_behind_claim(submission: Submission, log: Log) -> bool:
    """May this log's numbers be held against the claim? Only then can a check fail on them.

    A lone headline that one log repeats to its last digit is that log's, and a neighbour within
    `CLAIM_DISTANCE_BPB` is another experiment, unless its seed is claimed or the headline is their mean.
    """
    claimed = claimed_logs(submission)
    resting = [
        each for each in claimed if any(rests_on(submission, metric) for metric in final_metrics(each))
    ]
    if log not in claimed or not resting:
        return False
    headline = submission.claim.val_bpb
    if headline is None or any(row.seed == log.seed or row.val_bpb for row in submission.claim.seeds):
        return True
    unit = 10.0 ** -printed_digits(headline)
    exact = [
        each
        for each in resting
        if any(abs(_bpb(metric) - headline) <= unit for metric in final_metrics(each))
    ]
    heads = [_bpb(metric) for each in resting if (metric := headline_metric(submission, each))]
    return not exact or log in exact or abs(fmean(heads) - headline) <= unit


def _bpb(metric: Metric) -> float:
    return metric.val_bpb or 0.0


def headline_metric(submission: Submission, log: Log) -> Metric | None:
    """The log's result under the claim's label; else its own nearest to the claim; else its last."""
    finals = final_metrics(log)
    if not finals:
        return None
    label = submission.head_metric_label
    labelled = [metric for metric in finals if metric.label == label]
    if labelled:
        return labelled[-1]
    numbers = claimed_numbers(submission)
    if numbers:
        return min(finals, key=lambda m: min(abs((m.val_bpb or 0.0) - number) for number in numbers))
    return finals[-1]


def at(log: Log, line: int | None, excerpt: str | None = None) -> Where:
    return Where(log.path, line, excerpt)
