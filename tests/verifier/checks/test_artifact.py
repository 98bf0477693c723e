"""A1: four readings of the size, and which of them may convict."""

from __future__ import annotations

import random

import pytest

from tests.verifier.checks.builders import log, metric, only, outcomes, script, size, states, submission
from verifier.codesize import minified, packed_within, smallest_packed
from verifier.finding import State
from verifier.submission import SeedClaim

A1 = "A1-artifact"
RAW = size("total", "", 135_583_833)


def sized(total: int, model: int, code: int, seed: int = 42, bpb: float = 1.08):
    sizes = (
        RAW,
        size("code", "", code),
        size("model", "quantized+brotli", model),
        size("total", "quantized+brotli", total),
    )
    return log(seed, [metric(bpb)], sizes=sizes)


def test_a_raw_checkpoint_line_is_not_the_artifact():
    sub = submission([sized(15_863_489, 15_813_000, 50_489)], 1.08)
    assert states(A1, sub) == [State.PASS]


def test_a_labelled_total_over_the_cap_fails_for_any_seed():
    logs = [sized(15_990_000, 15_940_000, 50_000, 1), sized(16_024_793, 15_974_561, 50_232, 2)]
    outcome = only(A1, submission(logs, 1.08))
    assert outcome.state is State.FAIL
    assert "16,024,793" in outcome.message
    assert "24,793 over" in outcome.message


def test_one_byte_decides():
    assert states(A1, submission([sized(16_000_000, 15_950_000, 50_000)], 1.08)) == [State.PASS]
    assert states(A1, submission([sized(16_000_001, 15_950_001, 50_000)], 1.08)) == [State.FAIL]


def test_an_ablation_s_log_over_the_cap_warns():
    logs = [sized(15_900_000, 15_850_000, 50_000, 1, 1.08), sized(17_000_000, 16_950_000, 50_000, 2, 1.2)]
    assert states(A1, submission(logs, 1.08)) == [State.WARN, State.PASS]


def test_a_folder_without_a_claim_warns():
    assert states(A1, submission([sized(16_186_500, 16_127_834, 58_666)], None)) == [State.WARN]


def test_the_smallest_of_several_codecs_is_read():
    sizes = (RAW, size("total", "int8+zlib", 17_500_000), size("total", "int6+zstd", 15_900_000))
    assert states(A1, submission([log(metrics=[metric(1.08)], sizes=sizes)], 1.08)) == [State.PASS]


@pytest.mark.parametrize(
    ("model", "state"), [(10_518_128, State.PASS), (15_999_999, State.UNVERIFIED)], ids=["fits", "too close"]
)
def test_a_log_of_the_compressed_model_alone_is_read_with_the_shipped_code(model: int, state: State):
    """As the contest's MLX script logs it; what the log does not say can pass, and cannot convict."""
    lone = log(42, [metric(1.08)], sizes=(RAW, size("model", "int8_zlib", model)))
    sub = submission([lone], 1.08, shipped=script("x = 1\n"))
    assert states(A1, sub) == [state]


def test_an_unnamed_total_that_is_model_plus_code_is_the_artifact():
    sizes = (size("total", "", 16_000_100), size("model", "int6", 15_950_000), size("code", "", 50_100))
    assert states(A1, submission([log(metrics=[metric(1.08)], sizes=sizes)], 1.08)) == [State.FAIL]


def test_a_packed_script_that_opens_to_the_counted_program_warns():
    packed = script("x = 1\n" * 10_000, size_bytes=20_000, wrapper="lzma_raw2+b85")
    outcome = outcomes(A1, submission([sized(16_035_000, 15_975_000, 60_000)], 1.08, shipped=packed))[0]
    assert (outcome.state, outcome.rules) == (State.WARN, ("R-010",))


def test_a_packed_script_that_opens_to_other_code_does_not_help():
    """As in #1835 and #1959: the logs counted a program that the folder does not ship."""
    packed = script("x = 1\n" * 10_000, size_bytes=20_000, wrapper="lzma_raw2+b85")
    sub = submission([sized(16_055_000, 15_975_000, 80_000)], 1.08, shipped=packed)
    assert states(A1, sub)[0] is State.FAIL


def test_a_stub_that_runs_the_counted_program_warns():
    """As in #1412: train_gpt.py executes a file of as many bytes as the log counted."""
    stub = script("exec(open('decoded.py').read())\n", siblings=("decoded.py",))
    files = {"train_gpt.py": 32, "decoded.py": 80_055}
    sub = submission([sized(16_059_704, 15_979_649, 80_055)], 1.08, shipped=stub, files=files)
    assert State.FAIL not in states(A1, sub)


def test_a_stated_packed_size_is_no_measurement():
    rows = [SeedClaim(42, 1.08, artifact_bytes=15_990_000)]
    sub = submission(
        [sized(16_055_000, 15_975_000, 80_000)], 1.08, seeds=rows, shipped=script("x = 1\n" * 10)
    )
    assert states(A1, sub)[0] is State.FAIL


def test_a_second_attempt_in_the_log_counts():
    sizes = [size("model", "", 10_910_872), size("model", "(lzma9)", 10_910_872)]
    sizes.append(size("model", "(lzma9)", 16_094_692, 303))
    outcome = outcomes(A1, submission([log(metrics=[metric(1.29)], sizes=tuple(sizes))], 1.29))[0]
    assert outcome.state is State.FAIL
    assert "the model alone" in outcome.message


def test_a_neighbouring_experiment_is_not_held_against_a_lone_headline():
    """As in #375: the claim is one log's to the last digit, and another experiment lies 0.0003 away."""
    logs = [
        sized(15_533_063, 15_483_063, 50_000, 1337, 1.12569622),
        sized(16_421_447, 16_371_447, 50_000, 42, 1.12543075),
    ]
    assert State.FAIL not in states(A1, submission(logs, 1.1257))
    mean = [
        sized(15_990_000, 15_940_000, 50_000, 1, 1.1250),
        sized(16_421_447, 16_371_447, 50_000, 2, 1.1264),
    ]
    assert State.FAIL in states(A1, submission(mean, 1.1257))


def test_a_superseded_attempt_of_a_seed_is_not_held_against_the_claim():
    """As in #769: version 1.0 of seed 42 was over the cap, and version 1.1 is claimed."""
    logs = [
        sized(16_025_731, 15_926_240, 99_491, 42, 0.85129),
        sized(15_921_591, 15_848_988, 72_603, 42, 0.84937),
        sized(15_905_947, 15_833_344, 72_603, 2024, 0.85077),
    ]
    sub = submission(logs, 0.8501, seeds={42: 0.8494, 2024: 0.8508})
    assert State.FAIL not in states(A1, sub)


def test_a_raw_script_that_fits_when_packed_warns():
    source = "\n".join(f"value_{i} = {i}  # why this one" for i in range(1_000))
    sub = submission([sized(15_990_000, 15_975_000, 15_000)], 1.08, shipped=script(source))
    found = outcomes(A1, sub)
    assert [outcome.state for outcome in found] == [State.PASS, State.WARN]
    assert "#1530" in found[1].message


def test_code_that_no_packing_makes_fit_fails():
    noise = random.Random(0).randbytes(15_000).hex()
    sub = submission([sized(15_999_999, 15_990_000, 9_999)], 1.08, shipped=script(f"BLOB = {noise!r}\n"))
    assert states(A1, sub) == [State.PASS, State.FAIL]


def test_helper_files_over_the_cap_warn():
    files = {"train_gpt.py": 9, "submission.json": 9, "tokenizers/mine.model": 367_000, "notes.md": 9_000_000}
    sub = submission([sized(15_900_000, 15_899_991, 9)], 1.08, shipped=script("x = 123\n"), files=files)
    found = outcomes(A1, sub)
    assert [outcome.state for outcome in found] == [State.PASS, State.WARN]
    assert found[1].rules == ("R-011",)


def test_a_stated_size_without_a_log_cannot_fail():
    assert states(A1, submission([], 1.08, bytes_total=16_500_000)) == [State.WARN]
    assert states(A1, submission([], 1.08, bytes_total=15_500_000)) == [State.UNVERIFIED]


def test_packing_drops_comments_and_docstrings():
    source = '"""Doc."""\ndef f():\n    """Doc."""\nclass C:\n    """Doc."""\n    x = 1  # why\n'
    assert minified(source) == "def f():\n    pass\n\nclass C:\n    x = 1"
    assert minified("def f(:\n") is None
    assert not smallest_packed("def f(:\n").minified


@pytest.mark.parametrize("source", ["", "x = 1\n"])
def test_packing_takes_any_source(source):
    assert smallest_packed(source).size_bytes > 0


def test_a_model_over_the_cap_by_itself_fails_without_any_packing():
    sub = submission([sized(15_999_999, 16_000_001, 50_000)], 1.08, shipped=script("def f(:\n"))
    found = outcomes(A1, sub)
    assert [outcome.state for outcome in found] == [State.PASS, State.FAIL]
    assert "1 over 16,000,000" in found[1].message


def test_packing_goes_only_as_far_as_it_decides():
    source = "\n".join(f"value_{i} = {i}  # why this one" for i in range(1_000))
    smallest = smallest_packed(source)
    quick = packed_within(source, 100_000)
    assert smallest.size_bytes < quick.size_bytes < len(source)
    assert packed_within(source, quick.size_bytes) == quick
    assert packed_within(source, quick.size_bytes - 1) == smallest
