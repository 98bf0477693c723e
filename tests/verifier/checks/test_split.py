"""D2: how many validation tokens, and what the training shards say."""

from __future__ import annotations

import pytest

from tests.verifier.checks.builders import CASEOPS, SP8192, log, metric, only, outcomes, states, submission
from verifier.finding import State
from verifier.submission import Track

D2 = "D2-split"


def run(val_tokens: int | None, **fields):
    return log(metrics=[metric(1.06)], val_tokens=val_tokens, **fields)


@pytest.mark.parametrize("tokens", [62_021_632, 45_508_608, 40_540_160, 47_851_520, 47_853_343, 151_080_891])
def test_full_streams_pass_trimmed_or_not(tokens):
    assert states(D2, submission([run(tokens, train_shards=80)], 1.06)) == [State.PASS]


@pytest.mark.parametrize("tokens", [9_662_464, 36_562_944])
def test_ruled_subsets_fail(tokens):
    assert states(D2, submission([run(tokens, tokenizer_path=CASEOPS)], 1.06)) == [State.FAIL]


def test_a_part_of_a_stock_stream_fails_on_the_record_track_alone():
    partial = run(1_048_576, tokenizer_path=SP8192)
    assert states(D2, submission([partial], 1.06)) == [State.FAIL]
    assert states(D2, submission([partial], 1.06, track=Track.NON_RECORD)) == [State.WARN]
    assert states(D2, submission([partial], 0.5)) == [State.WARN]


def test_1499_shards_beside_the_full_stream_fail():
    found = outcomes(D2, submission([run(47_851_520, train_shards=1499)], 1.06))
    assert [outcome.state for outcome in found] == [State.FAIL, State.PASS]
    assert found[0].rules == ("R-021",)


@pytest.mark.parametrize(("tokens", "shards"), [(40_540_160, 1499), (47_851_520, 1495)])
def test_near_the_fingerprint_passes(tokens, shards):
    assert states(D2, submission([run(tokens, train_shards=shards)], 1.06)) == [State.PASS]


def test_a_new_tokenizer_s_count_is_unverified():
    assert states(D2, submission([run(33_000_000, tokenizer_path="mine.model")], 1.06)) == [State.UNVERIFIED]


def test_no_count_is_unverified():
    assert states(D2, submission([run(None)], 1.06)) == [State.UNVERIFIED]


def test_a_doubled_path_warns():
    env = {"DATA_PATH": "./data/datasets/datasets/fineweb10B_sp8192"}
    sub = submission([run(40_540_160)], 1.06, env=env)
    assert states(D2, sub) == [State.PASS, State.WARN]


def test_logs_that_agree_give_one_outcome():
    logs = [run(40_540_160, path=f"{i}.log") for i in range(3)]
    assert len(only(D2, submission(logs, 1.06)).where) == 3


LEAKY = (
    "The 80 training shards match `prepare_caseops_data.py` default `val_docs=10000` output byte-for-byte."
)


def test_training_shards_that_begin_inside_the_scored_documents_fail():
    run = log(metrics=[metric(1.06)], val_tokens=47_851_520, train_shards=80)
    found = outcomes(D2, submission([run], 1.06, readme=f"# Data\n\n- {LEAKY} Evaluation is full."))
    assert [outcome.state for outcome in found] == [State.PASS, State.FAIL]
    assert "40,000 of them are in both" in found[1].message


@pytest.mark.parametrize(
    "readme",
    [
        "The training shards were built with `--val-docs=50000`.",
        "The training shards do not come from `val_docs=10000`.",
        "The script's default is `val_docs=10000`.",
        "Train shards are from the published set. A debug run used val_docs=10000.",
    ],
)
def test_other_words_about_the_preparation_prove_nothing(readme):
    run = log(metrics=[metric(1.06)], val_tokens=47_851_520, train_shards=80)
    assert states(D2, submission([run], 1.06, readme=readme)) == [State.PASS]


def test_a_retrained_tokenizer_under_a_stock_name_scores_the_same_bytes():
    """As in #1693: 36,335,616 tokens of a folded text at 4.158 bytes each are the whole split."""
    run = log(metrics=[metric(1.06, 4.1578)], val_tokens=36_335_616, tokenizer_path=SP8192)
    assert states(D2, submission([run], 1.06)) == [State.UNVERIFIED]
    stock = log(metrics=[metric(1.06)], val_tokens=36_335_616, tokenizer_path=SP8192)
    assert states(D2, submission([stock], 1.06)) == [State.FAIL]
