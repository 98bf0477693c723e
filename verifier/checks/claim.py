"""B2-claim: the claimed bits per byte, against what the logs print."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from verifier.checks import check
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where, passed, unverified, warned
from verifier.headline import CLAIM_DISTANCE_BPB, at, final_metrics
from verifier.reference import printed_digits
from verifier.submission import Metric, SeedClaim, Submission


@dataclass(frozen=True)
class _Candidate:
    """A logged number that the claim could be repeating."""

    value: float
    digits: int
    what: str
    where: tuple[Where, ...]

    def gap(self, claimed: float) -> float:
        return self.value - claimed

    def agrees(self, claimed: float) -> bool:
        """Equal once both are rounded; a claim may be cut off instead of rounded, hence a whole unit."""
        unit = min(10.0 ** -printed_digits(claimed), CLAIM_DISTANCE_BPB)  # JSON drops trailing zeros
        return abs(self.gap(claimed)) <= unit + 0.5 * 10.0**-self.digits


@check(
    "B2-claim",
    title="the claimed bits per byte is in the logs",
    grade=Grade.LOG,
    rules=("R-081",),
)
def claim(evidence: Evidence) -> list[Outcome]:
    """Compares submission.json with the logs: the headline with every final result and with every mean over
    logs of one label, each seed's number with that seed's log, and the headline with the mean of the seeds
    in submission.json itself. Rounding of both printed numbers is allowed for.

    PASS: the headline is a logged final result or the mean of several, to the printed digits.
    WARN: it is 0.001 or more from all of them, only a trajectory line shows it, it is one seed of several
    whose mean is higher, or a seed's number is not in its log. UNVERIFIED: no headline, or no log.

    Cannot see: whether the log was edited (L1-binding), or whether the number is right (B1-denominator).

    Ruling: a claim must equal the log's metric: #1981 (an offset), #2076 (transcription), #2118 (mismatch),
    2026-05-02.

    Violation: headline 0.9485 with three logs of 1.0012, 1.0021 and 1.0018. Legal contrast: headline 1.0611
    with logs of 1.06124613, 1.05989454 and 1.06208695, whose mean is 1.06107587.
    """
    submission = evidence.submission
    headline = submission.claim.val_bpb
    where = submission.claim.where or Where("submission.json")
    if headline is None:
        return [
            unverified(
                "submission.json has no bits per byte",
                where,
                try_next='write the headline as a number under "val_bpb"',
            )
        ]
    outcomes = [_against_logs(submission, headline, where)]
    outcomes += _seeds_against_logs(submission, where)
    outcomes += _against_own_seeds(submission, headline, where)
    return outcomes


def _against_logs(submission: Submission, headline: float, where: Where) -> Outcome:
    finals = [(log, metric) for log in submission.logs for metric in final_metrics(log)]
    if not finals:
        return unverified(
            f"claim {headline} has 0 logs with a final result",
            where,
            try_next="ship each seed's whole log, with the final evaluation's line",
            logs=[log.path for log in submission.logs],
        )
    means = list(_means(submission))
    singles = [
        _Candidate(_bpb(metric), metric.bpb_digits, metric.label, (at(log, metric.line),))
        for log, metric in finals
    ]
    for candidate in [*means, *singles]:
        if not candidate.agrees(headline):
            continue
        higher = _higher_mean(candidate, means, headline)
        if higher is not None:
            return warned(
                f"claim {headline} is one of several results; {higher.what} is {higher.value:.6f}",
                *candidate.where,
                claimed=headline,
                mean=higher.value,
            )
        return passed(f"claim {headline} is {candidate.what}", *candidate.where, logged=candidate.value)
    nearest = min([*means, *singles], key=lambda each: abs(each.gap(headline)))
    gap = nearest.gap(headline)
    if abs(gap) < CLAIM_DISTANCE_BPB:
        return passed(
            f"claim {headline} is {abs(gap):.6f} from {nearest.what} ({nearest.value:.6f})",
            *nearest.where,
            logged=nearest.value,
        )
    for log in submission.logs:
        for metric in log.metrics:
            if not metric.final and metric.val_bpb is not None:
                line = _Candidate(metric.val_bpb, metric.bpb_digits, metric.label, (at(log, metric.line),))
                if line.agrees(headline):
                    return warned(
                        f"claim {headline} is on a progress line only; the nearest final result is "
                        f"{nearest.value:.6f} ({nearest.what})",
                        *line.where,
                        *nearest.where,
                        claimed=headline,
                        logged=nearest.value,
                    )
    return warned(
        f"claim {headline} is in no log; the nearest final result is {nearest.value:.6f} ({nearest.what}), "
        f"{gap:+.6f}",
        where,
        *nearest.where,
        claimed=headline,
        logged=nearest.value,
    )


def _higher_mean(candidate: _Candidate, means: list[_Candidate], headline: float) -> _Candidate | None:
    """The mean of the same label that a single result undercuts by more than the claim's distance."""
    if len(candidate.where) > 1:
        return None
    above = [m for m in means if m.what.endswith(f" {candidate.what}")]
    return next((m for m in above if m.gap(headline) >= CLAIM_DISTANCE_BPB), None)


def _means(submission: Submission) -> Iterator[_Candidate]:
    """The mean over logs of each label's last value; of the claimed seeds' logs too, where they differ."""
    claimed = {seed.seed for seed in submission.claim.seeds if seed.seed is not None}
    for logs in (
        submission.logs,
        tuple(log for log in submission.logs if log.seed in claimed),
    ):
        last: dict[str, list[tuple[Metric, Where]]] = {}
        for log in logs:
            of_log = {metric.label: metric for metric in final_metrics(log)}
            for label, metric in of_log.items():
                last.setdefault(label, []).append((metric, at(log, metric.line)))
        for label, rows in last.items():
            if len(rows) > 1:
                value = fmean(_bpb(metric) for metric, _ in rows)
                digits = min(metric.bpb_digits for metric, _ in rows)
                yield _Candidate(
                    value, digits, f"the mean of {len(rows)} logs' {label}", tuple(w for _, w in rows)
                )


def _seeds_against_logs(submission: Submission, where: Where) -> Iterator[Outcome]:
    for seed in submission.claim.seeds:
        nearest = _nearest_of_seed(submission, seed)
        if nearest is not None and abs(nearest.gap(seed.val_bpb or 0.0)) >= CLAIM_DISTANCE_BPB:
            yield warned(
                f"seed {seed.seed}: claim {seed.val_bpb} is in none of its logs; the nearest final result is "
                f"{nearest.value:.6f} ({nearest.what})",
                where,
                *nearest.where,
                claimed=seed.val_bpb,
                logged=nearest.value,
            )


def _nearest_of_seed(submission: Submission, seed: SeedClaim) -> _Candidate | None:
    claimed = seed.val_bpb
    if claimed is None or seed.seed is None:
        return None
    own = [
        _Candidate(_bpb(metric), metric.bpb_digits, metric.label, (at(log, metric.line),))
        for log in submission.logs
        if log.seed == seed.seed
        for metric in final_metrics(log)
    ]
    return min(own, key=lambda each: abs(each.gap(claimed)), default=None)


def _against_own_seeds(submission: Submission, headline: float, where: Where) -> Iterator[Outcome]:
    values = [seed.val_bpb for seed in submission.claim.seeds if seed.val_bpb is not None]
    if len(values) < 2:
        return
    mean = fmean(values)
    if abs(mean - headline) >= CLAIM_DISTANCE_BPB:
        yield warned(
            f"claim {headline}; the {len(values)} seeds in the same file have the mean {mean:.6f}",
            where,
            claimed=headline,
            seeds=values,
        )


def _bpb(metric: Metric) -> float:
    if metric.val_bpb is None:
        raise ValueError(f"line {metric.line} has no bits per byte")
    return metric.val_bpb
