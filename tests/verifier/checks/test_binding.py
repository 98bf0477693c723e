"""L1: a log says how long its script was."""

from __future__ import annotations

from tests.verifier.checks.builders import log, metric, only, script, size, states, submission
from verifier.codesize import smallest_packed
from verifier.finding import State

L1 = "L1-binding"
SOURCE = "value = 1\n" * 300


def run(*sizes, **fields):
    return log(metrics=[metric(1.06)], sizes=sizes, **fields)


def test_the_shipped_file_s_size_passes():
    assert states(L1, submission([run(size("code", "", 3_000))], 1.06, shipped=script(SOURCE))) == [
        State.PASS
    ]


def test_the_unpacked_program_s_size_passes_beside_a_packed_script():
    packed = script(SOURCE, size_bytes=400, wrapper="lzma_raw2+b85")
    assert states(L1, submission([run(size("code", "", 3_000))], 1.06, shipped=packed)) == [State.PASS]


def test_a_sum_with_siblings_passes():
    shipped = script(SOURCE, siblings=("architectures.py",))
    files = {"train_gpt.py": 3_000, "architectures.py": 1_234, "submission.json": 9}
    sub = submission([run(size("code", "", 4_234))], 1.06, shipped=shipped, files=files)
    assert states(L1, sub) == [State.PASS]


def test_a_packed_size_near_ours_passes():
    near = smallest_packed(SOURCE).size_bytes + 2
    sub = submission([run(size("code", "(compressed)", near))], 1.06, shipped=script(SOURCE))
    assert states(L1, sub) == [State.PASS]


def test_the_embedded_listing_passes_whatever_the_size():
    sub = submission([run(size("code", "", 9), source_sha256="2" * 64)], 1.06, shipped=script(SOURCE))
    assert states(L1, sub) == [State.PASS]


def test_another_size_warns_with_both_numbers():
    outcome = only(L1, submission([run(size("code", "", 50_232))], 1.06, shipped=script(SOURCE)))
    assert outcome.state is State.WARN
    assert "50,232" in outcome.message
    assert "3,000" in outcome.message


def test_nothing_to_compare_is_unverified():
    assert states(L1, submission([run()], 1.06, shipped=script(SOURCE))) == [State.UNVERIFIED]
    assert states(L1, submission([run(size("code", "", 9))], 1.06)) == [State.UNVERIFIED]
    assert states(L1, submission([], 1.06, shipped=script(SOURCE))) == [State.UNVERIFIED]
