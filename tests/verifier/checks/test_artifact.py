"""A1: four readings of the size, and which of them may convict."""

from __future__ import annotations

import random

import pytest

from tests.verifier.checks.builders import log, metric, only, outcomes, script, size, states, submission
from verifier.codesize import minified, smallest_packed
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


def test_an_unnamed_total_that_is_model_plus_code_is_the_artifact():
    sizes = (size("total", "", 16_000_100), size("model", "int6", 15_950_000), size("code", "", 50_100))
    assert states(A1, submission([log(metrics=[metric(1.08)], sizes=sizes)], 1.08)) == [State.FAIL]


def test_raw_code_in_the_log_beside_a_packed_script_that_fits_warns():
    packed = script("x = 1\n" * 10_000, size_bytes=20_000, wrapper="lzma_raw2+b85")
    sub = submission([sized(16_055_000, 15_975_000, 80_000)], 1.08, shipped=packed)
    assert states(A1, sub) == [State.WARN]


def test_raw_code_in_the_log_and_a_stated_packed_size_warn():
    rows = [SeedClaim(42, 1.08, artifact_bytes=15_990_000)]
    sub = submission(
        [sized(16_055_000, 15_975_000, 80_000)], 1.08, seeds=rows, shipped=script("x = 1\n" * 10)
    )
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
