"""The runs that a claim rests on, one for each seed, with what their logs say of score, bytes and times.

For tables and comparisons. The checks judge the same logs with their own limits and tolerances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from verifier.checks.artifact import logged_bytes
from verifier.checks.evaluation import eval_seconds
from verifier.checks.training import train_seconds
from verifier.headline import claimed_logs, headline_metric
from verifier.submission import Submission


@dataclass(frozen=True)
class SeedRun:
    """One log behind the claim. A field is None where the log does not say."""

    file: str
    seed: int | None
    val_bpb: float
    val_loss: float | None = None
    """Nats per token."""
    artifact_bytes: int | None = None
    """Code and compressed model as the log adds them."""
    train_seconds: float | None = None
    eval_seconds: float | None = None

    @property
    def nats_per_bpb(self) -> float | None:
        """ln 2 times bytes per token: the nats per token that one bit per byte stands for."""
        return self.val_loss / self.val_bpb if self.val_loss is not None and self.val_bpb > 0 else None


def seed_runs(submission: Submission) -> tuple[SeedRun, ...]:
    """In the order of the logs; of a seed with several logs the last, as a repeated run is meant to replace."""
    runs: dict[tuple[int | None, str], SeedRun] = {}
    for log in claimed_logs(submission):
        metric = headline_metric(submission, log)
        if metric is None or metric.val_bpb is None or not math.isfinite(metric.val_bpb):
            continue
        runs[log.seed, "" if log.seed is not None else log.path] = SeedRun(
            file=log.path,
            seed=log.seed,
            val_bpb=metric.val_bpb,
            val_loss=metric.val_loss
            if metric.val_loss is not None and math.isfinite(metric.val_loss)
            else None,
            artifact_bytes=logged_bytes(log),
            train_seconds=None if log.train_ms is None else train_seconds(log),
            eval_seconds=eval_seconds(submission, log),
        )
    return tuple(runs.values())
