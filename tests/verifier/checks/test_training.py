"""T1: the training limit and its normal overshoot."""

from __future__ import annotations

import pytest

from tests.verifier.checks.builders import log, metric, only, states, submission
from verifier.finding import State
from verifier.submission import Track

T1 = "T1-training"


def timed(seconds: float, world_size: int | None = 8):
    return log(metrics=[metric(1.08)], train_ms=seconds * 1000, train_line=7, world_size=world_size)


@pytest.mark.parametrize(
    ("seconds", "state"),
    [
        (588.0, State.PASS),
        (600.0, State.PASS),
        (600.4, State.PASS),
        (602.048, State.WARN),
        (605.0, State.WARN),
        (1188.0, State.FAIL),
    ],
)
def test_training_time_on_eight_gpus(seconds, state):
    assert states(T1, submission([timed(seconds)], 1.08)) == [state]


@pytest.mark.parametrize("world_size", [1, None])
def test_other_hardware_cannot_break_the_limit(world_size):
    assert states(T1, submission([timed(2400.0, world_size=world_size)], 1.08)) == [State.WARN]


def test_a_run_that_the_claim_does_not_use_cannot_fail():
    assert states(T1, submission([timed(1188.0)], 0.5)) == [State.WARN]


def test_the_message_names_both_numbers():
    outcome = only(T1, submission([timed(1188.0)], 1.08))
    assert outcome.message.startswith("1188.000 s")
    assert str(outcome.where[0]) == "train_seed42.log:7"


def test_the_non_record_track_has_no_limit():
    assert states(T1, submission([timed(9000.0)], 1.08, track=Track.NON_RECORD)) == [State.NOT_APPLICABLE]


def test_no_time_is_unverified():
    assert states(T1, submission([log(metrics=[metric(1.08)])], 1.08)) == [State.UNVERIFIED]


def test_minutes_with_one_digit_are_read_in_the_submission_s_favour():
    run = log(metrics=[metric(1.08)], train_ms=606_000, train_rounding_ms=3_000)
    assert states(T1, submission([run], 1.08)) == [State.WARN]
