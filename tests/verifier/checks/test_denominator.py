"""B1: what two printed numbers give away, and what they do not prove."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verifier.checks.builders import (
    CASEOPS,
    SP8192,
    log,
    metric,
    only,
    outcomes,
    script,
    states,
    submission,
)
from verifier.finding import State
from verifier.reference import (
    LN2,
    RATIOS,
    Standing,
    implied_bytes_per_token,
    printed_digits,
    tokenizer_counted,
    tokenizer_named,
)
from verifier.submission import SeedClaim

B1 = "B1-denominator"
RIGHT = [ratio for ratio in RATIOS if ratio.standing is Standing.RIGHT]
DOUBLE_SPACE = 4.3864013


@pytest.mark.parametrize("ratio", RIGHT, ids=lambda ratio: ratio.name)
@pytest.mark.parametrize("digits", [4, 6, 8])
def test_a_right_constant_passes_at_any_print_width(ratio, digits):
    sub = submission([log(metrics=[metric(1.0823, ratio.bytes_per_token, digits=digits)])], 1.0823)
    assert only(B1, sub).state is State.PASS


def test_two_evaluators_of_one_log_pass():
    diagnostic = metric(1.065, 3.1573558, label="diagnostic quantized")
    result = metric(1.061, 3.1571527, label="quantized_ttt_phased")
    sub = submission(
        [log(metrics=[diagnostic, result], val_tokens=47_851_520, tokenizer_path=CASEOPS)], 1.061
    )
    assert states(B1, sub) == [State.PASS, State.PASS]


@pytest.mark.parametrize(
    "names",
    [{"val_tokens": 40_540_160}, {"tokenizer_path": SP8192}],
    ids=["by token count", "by file"],
)
def test_a_double_counted_space_fails_where_the_log_names_the_tokenizer(names):
    sub = submission([log(metrics=[metric(1.0097788, DOUBLE_SPACE)], **names)], 1.0098)
    outcome = only(B1, sub)
    assert outcome.state is State.FAIL
    assert "4.3864 B/token" in outcome.message
    assert "3.7266" in outcome.message
    assert outcome.try_next is not None
    assert "1.1770" in outcome.try_next


def test_the_published_pair_of_1698_fails():
    pair = metric(1.0)
    pair = type(pair)("final_int6_ttt_exact", 3.07015325, 1.00977880, 8, 8, 223, True)
    sub = submission([log(314, [pair], val_tokens=40_540_160)], seeds={314: 1.00978})
    assert states(B1, sub) == [State.FAIL]


def test_submission_json_alone_fails_with_all_digits_and_one_tokenizer_in_the_script():
    row = SeedClaim(42, val_bpb=1.03527246, val_loss=3.14766471)
    sub = submission([], 1.0352, seeds=[row], shipped=script(f"TOKENIZER_PATH = {SP8192!r}\n"))
    assert states(B1, sub) == [State.FAIL]


def test_submission_json_alone_warns_with_four_digits():
    row = SeedClaim(42, val_bpb=1.0353, val_loss=3.1477)
    sub = submission([], 1.0353, seeds=[row], shipped=script(f"TOKENIZER_PATH = {SP8192!r}\n"))
    assert states(B1, sub) == [State.WARN]


def test_a_script_that_names_two_tokenizers_names_none():
    text = f"A = {SP8192!r}\nB = './data/fineweb_1024_bpe.model'\n"
    sub = submission([log(metrics=[metric(1.0098, DOUBLE_SPACE)])], 1.0098, shipped=script(text))
    assert states(B1, sub) == [State.WARN]


def test_another_tokenizer_with_the_wrong_constant_s_ratio_does_not_fail():
    sub = submission([log(metrics=[metric(1.01, DOUBLE_SPACE)], tokenizer_path="mine_16384.model")], 1.01)
    assert states(B1, sub) == [State.WARN]


def test_a_wrong_constant_in_a_log_that_the_claim_does_not_use_does_not_fail():
    old = log(1, [metric(1.01, DOUBLE_SPACE)], val_tokens=40_540_160)
    new = log(2, [metric(1.19)], val_tokens=40_540_160)
    sub = submission([old, new], 1.19)
    assert sorted(states(B1, sub)) == [State.PASS, State.WARN]


def test_transformed_bytes_fail_on_caseops_tokens():
    """The tokenizer path of such a run can be the stock default; the token count is not."""
    sub = submission(
        [log(metrics=[metric(1.0057, 3.43969)], val_tokens=47_851_520, tokenizer_path=SP8192)], 1.0057
    )
    assert states(B1, sub) == [State.FAIL]


def test_a_new_tokenizer_is_unverified_with_the_proof_to_bring():
    outcome = only(
        B1, submission([log(metrics=[metric(1.08, 3.9)], tokenizer_path="mine_10240.model")], 1.08)
    )
    assert outcome.state is State.UNVERIFIED
    assert "prove the bytes" in (outcome.try_next or "")


def test_a_stock_tokenizer_with_a_ratio_of_its_own_warns():
    outcome = only(B1, submission([log(metrics=[metric(0.87, 4.2)], val_tokens=45_508_608)], 0.87))
    assert outcome.state is State.WARN
    assert "3.3197" in outcome.message


def test_loss_and_bpb_of_two_distributions_warn():
    own = metric(1.11, 3.1573558, label="diagnostic quantized")
    mixed = metric(0.972, 3.637, label="ppm_sliding")
    sub = submission([log(metrics=[own, mixed], val_tokens=47_851_520)], 0.972)
    found = {outcome.state: outcome for outcome in outcomes(B1, sub)}
    assert set(found) == {State.PASS, State.WARN}
    assert found[State.WARN].rules == ("R-056", "R-060")


def test_folded_text_is_unruled():
    sub = submission(
        [log(metrics=[metric(1.05, 3.9589015)], tokenizer_path="fineweb_10240_casefold_bpe.model")], 1.05
    )
    assert states(B1, sub) == [State.UNRULED]


def test_a_subset_s_right_bytes_warn_here_and_fail_elsewhere():
    sub = submission([log(metrics=[metric(1.16, 3.1007732)], val_tokens=9_662_464)], 1.16)
    assert states(B1, sub) == [State.WARN]
    assert State.FAIL in states("D2-split", sub)


def test_no_pair_is_unverified():
    assert states(B1, submission([log(metrics=[metric(1.08, None)])], 1.08)) == [State.UNVERIFIED]


@given(
    bpb=st.floats(0.3, 5.0),
    ratio=st.sampled_from([r.bytes_per_token for r in RATIOS]),
    digits=st.integers(3, 9),
)
def test_the_interval_always_holds_the_true_ratio(bpb, ratio, digits):
    implied = implied_bytes_per_token(
        round(bpb * LN2 * ratio, digits), round(bpb, digits), loss_digits=digits, bpb_digits=digits
    )
    assert implied is not None
    assert implied.low * (1 - 1e-12) <= ratio <= implied.high * (1 + 1e-12)


@pytest.mark.parametrize(("loss", "bpb"), [(0.0, 1.0), (1.0, 0.0), (float("inf"), 1.0), (float("nan"), 1.0)])
def test_numbers_without_information_give_no_ratio(loss, bpb):
    assert implied_bytes_per_token(loss, bpb, loss_digits=4, bpb_digits=4) is None


def test_right_and_wrong_constants_cannot_be_confused():
    for ratio in RATIOS:
        for other in RATIOS:
            if ratio.standing is not other.standing and {ratio.standing, other.standing} >= {Standing.RIGHT}:
                assert abs(ratio.bytes_per_token / other.bytes_per_token - 1) > 5e-3


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (SP8192, "sp8192"),
        (CASEOPS, "caseops-sp8192"),
        ("fineweb10B_sp1024", "sp1024"),
        ("fineweb10B_sp8192_other", None),
        ("nothing", None),
    ],
)
def test_a_tokenizer_is_named_by_its_whole_name(text, name):
    found = tokenizer_named(text)
    assert (found.name if found else None) == name


@pytest.mark.parametrize(
    ("tokens", "name"),
    [
        (62_021_632, "sp1024"),
        (45_508_608, "sp4096"),
        (40_540_160, "sp8192"),
        (47_851_520, "caseops-sp8192"),
        (9_662_464, None),
    ],
)
def test_a_tokenizer_is_known_by_the_length_of_its_stream(tokens, name):
    found = tokenizer_counted(tokens)
    assert (found.name if found else None) == name


def test_digits_of_a_json_number():
    assert [printed_digits(x) for x in (1.08, 1.0611, 1.06107587, 1, 1e-7)] == [2, 4, 8, 0, 0]


def test_a_wrong_constant_without_a_claim_does_not_fail():
    sub = submission([log(metrics=[metric(1.0097788, DOUBLE_SPACE)], val_tokens=40_540_160)], None)
    assert states(B1, sub) == [State.WARN]


CONSTANT = "def bpb(loss):\n    BYTES_PER_TOKEN = 2.7523\n    return loss / LN2 / BYTES_PER_TOKEN\n"


def test_a_ratio_that_the_script_writes_down_fails():
    outcome = only(B1, submission([log(metrics=[metric(1.05, 2.7523)])], 1.05, shipped=script(CONSTANT)))
    assert (outcome.state, outcome.rules) == (State.FAIL, ("R-060",))
    assert "BYTES_PER_TOKEN = 2.7523 of train_gpt.py:2" in outcome.message


def test_a_right_ratio_beside_a_constant_for_the_progress_bar_passes():
    source = "AVERAGE_BYTES = 3.7266\n"
    assert states(B1, submission([log(metrics=[metric(1.05)])], 1.05, shipped=script(source))) == [State.PASS]


@pytest.mark.parametrize("source", ["BYTES_PER_TOKEN = 2.75\n", "RATE = 2.7523\n", "BYTES = 3\n"])
def test_other_numbers_prove_nothing(source):
    sub = submission([log(metrics=[metric(1.05, 2.7523)])], 1.05, shipped=script(source))
    assert State.FAIL not in states(B1, sub)
