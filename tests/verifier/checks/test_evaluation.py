"""T2: the evaluation that made the claimed number, and no diagnostic."""

from __future__ import annotations

import pytest

from tests.verifier.checks.builders import log, metric, only, states, submission
from verifier.finding import State
from verifier.submission import SeedClaim, Track

T2 = "T2-evaluation"


def test_the_total_decides():
    total = {"eval_seconds_total": 567.1, "eval_line": 90}
    assert states(T2, submission([log(metrics=[metric(1.06)], **total)], 1.06)) == [State.PASS]
    total["eval_seconds_total"] = 708.1
    assert states(T2, submission([log(metrics=[metric(1.06)], **total)], 1.06)) == [State.FAIL]


def test_the_claimed_line_decides_where_there_is_no_total():
    outcome = only(T2, submission([log(metrics=[metric(1.06, eval_ms=688_000, line=33)])], 1.06))
    assert outcome.state is State.FAIL
    assert str(outcome.where[0]) == "train_seed42.log:33"


def test_a_slow_diagnostic_does_not_count():
    slow = metric(1.2, label="final_int6_sliding_window", eval_ms=900_000)
    sub = submission([log(metrics=[slow, metric(1.06, eval_ms=400_000)])], 1.06)
    assert states(T2, sub) == [State.PASS]


def test_the_time_of_an_exact_line_stands_on_the_line_before_it():
    first = metric(1.06, label="legal_ttt", digits=4, eval_ms=455_000)
    sub = submission([log(metrics=[first, metric(1.06, label="legal_ttt_exact")])], 1.06)
    assert states(T2, sub) == [State.PASS]


@pytest.mark.parametrize("world_size", [1, None])
def test_other_hardware_cannot_break_the_limit(world_size):
    slow = log(metrics=[metric(1.06, eval_ms=1_978_000)], world_size=world_size)
    assert states(T2, submission([slow], 1.06)) == [State.WARN]


def test_a_run_that_the_claim_does_not_use_cannot_fail():
    assert states(T2, submission([log(metrics=[metric(1.06, eval_ms=700_000)])], 0.5)) == [State.WARN]


def test_a_stated_time_alone_cannot_fail():
    rows = [SeedClaim(42, 1.06, eval_seconds=688.0)]
    assert states(T2, submission([], 1.06, seeds=rows)) == [State.WARN]


def test_the_non_record_track_and_missing_times():
    sub = submission([log(metrics=[metric(1.06)])], 1.06)
    assert states(T2, sub) == [State.UNVERIFIED]
    sub = submission([log(metrics=[metric(1.06)])], 1.06, track=Track.NON_RECORD)
    assert states(T2, sub) == [State.NOT_APPLICABLE]


def test_a_breach_that_submission_json_admits_fails_beside_logs_of_eight_gpus():
    run = log(metrics=[metric(1.04, eval_ms=115_343)])
    outcome = only(T2, submission([run], 1.04, eval_seconds=688.0))
    assert outcome.state is State.FAIL
    assert outcome.message == "submission.json states 688.0 s, limit 600 s"


def test_a_logged_total_beats_what_submission_json_says():
    run = log(metrics=[metric(1.04)], eval_seconds_total=508.8, eval_line=90)
    assert states(T2, submission([run], 1.04, eval_seconds=627.3)) == [State.PASS]


def test_a_stated_time_from_other_hardware_warns():
    run = log(metrics=[metric(1.04, eval_ms=115_343)], world_size=1)
    assert states(T2, submission([run], 1.04, eval_seconds=1_819.0)) == [State.WARN]
