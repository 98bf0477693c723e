"""The runs behind a claim, as tables and comparisons read them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.verifier.checks.builders import SP8192_RATIO, log, metric, size, submission
from verifier.reference import LN2
from verifier.seedrun import SeedRun, seed_runs


def test_each_seed_has_one_run_with_what_its_log_says() -> None:
    sizes = (size("total", "int8+zlib", 15_863_489),)
    logs = [log(seed, [metric(1.06, eval_ms=409_800.0)], sizes=sizes, train_ms=599_500.0) for seed in (1, 2)]
    first, second = seed_runs(submission(logs, 1.06))
    assert (first.seed, second.seed) == (1, 2)
    assert (first.artifact_bytes, first.train_seconds, first.eval_seconds) == (15_863_489, 599.5, 409.8)
    assert first.nats_per_bpb == pytest.approx(LN2 * SP8192_RATIO, rel=1e-6)


def test_a_repeated_seed_counts_once_and_the_last_log_is_its_run() -> None:
    logs = [log(1, [metric(1.0601)], path="a.log"), log(1, [metric(1.0602)], path="b.log")]
    assert [(run.file, run.val_bpb) for run in seed_runs(submission(logs, 1.06))] == [("b.log", 1.0602)]


def test_logs_that_name_no_seed_are_runs_of_their_own() -> None:
    logs = [replace(log(1, [metric(1.06)]), seed=None, path=f"{name}.log") for name in "ab"]
    assert len(seed_runs(submission(logs, 1.06))) == 2


def test_a_log_without_a_loss_has_no_nats_and_one_without_a_number_is_no_run() -> None:
    logs = [log(1, [metric(1.06, ratio=None)]), log(2)]
    assert seed_runs(submission(logs, 1.06)) == (SeedRun("train_seed1.log", 1, 1.06),)
    assert seed_runs(submission(logs, 1.06))[0].nats_per_bpb is None


def test_a_number_that_is_none_is_left_out() -> None:
    broken = replace(metric(1.06), val_bpb=math.nan)
    assert seed_runs(submission([log(1, [broken])])) == ()
    endless = replace(metric(1.06), val_loss=math.inf)
    assert seed_runs(submission([log(1, [endless])], 1.06))[0].val_loss is None
