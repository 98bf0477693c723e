"""S1: three seeds, one configuration."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.verifier.checks.builders import log, metric, only, outcomes, states, submission
from verifier.finding import State
from verifier.submission import Track

S1 = "S1-seeds"


def run(seed: int, bpb: float = 1.06, **fields):
    return log(seed, [metric(bpb)], **fields)


def test_three_seeds_of_one_configuration_pass():
    logs = [run(seed, env={"SEED": str(seed), "RUN_ID": f"r{seed}", "MLP_MULT": "4"}) for seed in (1, 2, 3)]
    assert states(S1, submission(logs, 1.06)) == [State.PASS]


def test_fewer_or_repeated_seeds_warn():
    assert states(S1, submission([run(1)], 1.06)) == [State.WARN]
    logs = [run(1, path="a.log"), run(1, path="b.log"), run(2)]
    assert states(S1, submission(logs, 1.06)) == [State.WARN]


def test_a_setting_that_differs_warns_with_its_values():
    logs = [run(1, train_shards=80), run(2, train_shards=80), run(3, train_shards=10)]
    found = outcomes(S1, submission(logs, 1.06))
    assert [outcome.state for outcome in found] == [State.PASS, State.WARN]
    assert "train_shards" in found[1].message
    assert "10, 80" in found[1].message


def test_an_environment_that_differs_warns():
    logs = [run(seed, env={"TTT_LR": "0.1" if seed == 3 else "0.2"}) for seed in (1, 2, 3)]
    assert states(S1, submission(logs, 1.06)) == [State.PASS, State.WARN]


def test_an_ablation_beside_three_seeds_is_left_out():
    logs = [run(1), run(2), run(3), run(4, 1.3, train_shards=1)]
    assert states(S1, submission(logs, 1.06)) == [State.PASS]


def test_unnamed_seeds_are_unverified():
    logs = [replace(run(i), seed=None, path=f"{i}.log") for i in range(3)]
    assert states(S1, submission(logs, 1.06)) == [State.UNVERIFIED]


def test_no_log_and_the_other_track():
    assert states(S1, submission([], 1.06)) == [State.UNVERIFIED]
    assert states(S1, submission([run(1)], 1.06, track=Track.NON_RECORD)) == [State.NOT_APPLICABLE]


def test_three_seeds_say_which_frontier_they_beat():
    logs = [log(seed, [metric(bpb)]) for seed, bpb in ((1, 1.0610), (2, 1.0611), (3, 1.0612))]
    outcome = only(S1, submission(logs, 1.0611))
    assert outcome.state is State.PASS
    assert "above 1.06304 by the written rule (0.0050 nats below it at p<0.01)" in outcome.message
    assert outcome.evidence["reach"]["mean"] == pytest.approx(1.0611)
