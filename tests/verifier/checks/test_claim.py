"""B2: the claim is a logged result, a mean of results, or neither."""

from __future__ import annotations

import pytest

from tests.verifier.checks.builders import log, metric, only, outcomes, states, submission
from verifier.finding import State

B2 = "B2-claim"
THREE = {42: 1.05989454, 0: 1.06124613, 1234: 1.06208695}


def three_logs():
    return [log(seed, [metric(value)]) for seed, value in THREE.items()]


@pytest.mark.parametrize("headline", [1.06107587, 1.0611, 1.061, 1.06107], ids=str)
def test_a_mean_of_three_logs_passes_rounded_or_cut(headline):
    assert states(B2, submission(three_logs(), headline, seeds=THREE)) == [State.PASS]


def test_a_single_result_passes():
    assert states(B2, submission([log(metrics=[metric(1.2244)])], 1.2244)) == [State.PASS]


def test_a_claim_that_no_log_shows_warns_with_the_nearest():
    outcome = only(B2, submission(three_logs(), 0.9485))
    assert outcome.state is State.WARN
    assert "1.059895" in outcome.message


def test_the_best_seed_of_several_warns():
    outcome = only(B2, submission([log(1, [metric(1.05)]), log(2, [metric(1.07)])], 1.05))
    assert outcome.state is State.WARN
    assert "1.060000" in outcome.message


def test_a_progress_line_alone_warns():
    line = metric(1.02, label="ttt_chunk [90/100]", final=False)
    outcome = only(B2, submission([log(metrics=[line, metric(1.05)])], 1.02))
    assert outcome.state is State.WARN
    assert "progress line" in outcome.message


def test_a_diagnostic_better_than_the_claim_is_no_claim():
    diagnostic = metric(1.03, label="pre-quantization post-ema")
    assert states(B2, submission([log(metrics=[diagnostic, metric(1.05)])], 1.05)) == [State.PASS]


def test_a_seed_s_number_that_its_log_does_not_show_warns():
    sub = submission(three_logs(), 1.06107587, seeds={**THREE, 42: 1.055})
    assert [outcome.state for outcome in outcomes(B2, sub)] == [State.PASS, State.WARN, State.WARN]


def test_a_headline_that_is_not_its_own_seeds_mean_warns():
    sub = submission([], 1.05, seeds={1: 1.061, 2: 1.062})
    assert states(B2, sub) == [State.UNVERIFIED, State.WARN]


def test_no_log_and_no_headline_are_unverified():
    assert states(B2, submission([], 1.05)) == [State.UNVERIFIED]
    assert states(B2, submission(three_logs(), None)) == [State.UNVERIFIED]
