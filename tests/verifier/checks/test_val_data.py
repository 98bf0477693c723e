"""D3: validation tokens trained on or stored, by two sources of the submission itself."""

from __future__ import annotations

import pytest

from tests.verifier.checks.builders import log, metric, only, script, states, submission
from verifier.finding import State
from verifier.submission import LoggedLine

D3 = "D3-val-data"
VAL_ONLY = LoggedLine("train_loader:dataset:fineweb10B_sp1024_valonly train_shards:1", 7)
STOCK = LoggedLine("train_loader:dataset:fineweb10B_sp1024 train_shards:80", 7)
PREFIX = LoggedLine("paid_prefix_file:p.xz paid_prefix_tokens:12924343 paid_prefix_bytes:8750000", 9)
ZEROED = "match = (prefix_slice == tgt_slice)\nloss *= (~match).float()\n"


def ran(**fields):
    return log(metrics=[metric(1.08)], **fields)


def test_a_training_set_that_is_the_validation_set_fails():
    readme = "A run trained entirely on the validation shard."
    outcome = only(D3, submission([ran(train_data=VAL_ONLY)], 1.08, readme=readme))
    assert (outcome.state, outcome.rules) == (State.FAIL, ("R-020",))
    assert "train_seed42.log:7" in map(str, outcome.where)


def test_submission_json_is_a_second_source():
    sub = submission([ran(train_data=VAL_ONLY)], 1.08, blurb="Val-only training, sliding window.")
    assert states(D3, sub) == [State.FAIL]


@pytest.mark.parametrize(
    "readme",
    [
        "Trained on standard training shards only (no val-only training).",
        "The model is never trained on validation data.",
        "It does not train on the validation set.",
        "Validation-only training was ruled out in #44, so not this one.",
    ],
)
def test_a_text_that_denies_it_beside_the_stock_set_is_silent(readme):
    found = states(D3, submission([ran(train_data=STOCK)], 1.08, readme=readme))
    assert State.FAIL not in found


def test_one_source_alone_warns():
    assert states(D3, submission([ran(train_data=VAL_ONLY)], 1.08)) == [State.WARN]
    denied = "**No** training on validation data."
    assert states(D3, submission([ran(train_data=VAL_ONLY)], 1.08, readme=denied)) == [State.WARN]


def test_a_text_alone_is_silent():
    readme = "Others trained on the validation shard."
    assert states(D3, submission([ran(train_data=STOCK)], 1.08, readme=readme)) == [State.NOT_APPLICABLE]


@pytest.mark.parametrize("name", ["logs/eval_only_seed1.txt", "run_id: pr2140_seed42_hardoff_evalonly"])
def test_an_evaluation_alone_is_no_validation_set(name):
    readme = "Trained on the validation shard."
    sub = submission([ran(train_data=LoggedLine(name, 1))], 1.08, readme=readme)
    assert states(D3, sub) == [State.NOT_APPLICABLE]


def test_stored_targets_that_the_script_compares_fail():
    outcome = only(D3, submission([ran(stored_targets=PREFIX)], 1.08, shipped=script(ZEROED)))
    assert (outcome.state, outcome.rules) == (State.FAIL, ("R-022",))
    assert "train_gpt.py:1" in map(str, outcome.where)


def test_stored_targets_that_the_author_names_fail():
    readme = "Storing 6.2M validation target tokens in the artifact."
    assert states(D3, submission([ran(stored_targets=PREFIX)], 1.08, readme=readme)) == [State.FAIL]


def test_dead_code_that_compares_a_prefix_is_silent():
    assert states(D3, submission([ran()], 1.08, shipped=script(ZEROED))) == [State.NOT_APPLICABLE]


def test_a_log_that_the_claim_does_not_use_cannot_fail():
    sub = submission([ran(stored_targets=PREFIX)], 0.5, shipped=script(ZEROED))
    assert states(D3, sub) == [State.WARN]
