"""The decode check on records made by hand: what proves a breach, and what only looks like one."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pgolf import coder
from tests.verifier.checks.builders import named, script, submission
from tests.verifier.probe.builders import LABEL, legal_losses, record, run, scored, stream
from tests.verifier.test_verdict import passing
from verifier.evidence import Evidence
from verifier.finding import Finding, Grade, Outcome, State
from verifier.probe import decoding
from verifier.probe.decoding import Decoded, Decoding, Encoding, Exposed, exposed_predictor, read_exposed
from verifier.probe.device import Device
from verifier.probe.record import ProbeRecord
from verifier.verdict import Call, decide

N = 512
DRAWN = stream()
LOSSES = legal_losses(DRAWN)
IDS = DRAWN.ids[: N + 1].astype(np.int64)
EXPOSED = Exposed("train_gpt.py", "final_model.pgolf", 12)


def encoding(nats: np.ndarray = LOSSES, extra_bits: int = 16) -> Encoding:
    own = nats[1 : N + 1].copy()
    words = math.ceil((own.sum() / math.log(2) + extra_bits) / 32)
    return Encoding(bytes(range(4)) * words, own)


def proof(**fields: object) -> Decoding:
    given = {
        "tokens": N,
        "exposed": EXPOSED,
        "artifact_bytes": 9,
        "encodings": (encoding(),),
        "decodings": (Decoded(IDS),),
    }
    return Decoding(**(given | fields))  # type: ignore[arg-type]


def outcome(made: Decoding | None, **fields: object) -> Outcome:
    probes = record(run("uniform", DRAWN, scored(DRAWN, LOSSES)), decoding=made, **fields)
    return judge(probes)


def judge(probes: ProbeRecord | None) -> Outcome:
    result = named("C0-decode").function(Evidence(submission(shipped=script()), probes))
    assert isinstance(result, Outcome)
    return result


def wrong(at: int) -> Decoded:
    """A decoder that leaves the stream at a position."""
    return Decoded(np.concatenate((IDS[:at], (IDS[at:] + 1) % 1024)))


def test_tokens_that_come_back_and_scores_that_agree_pass() -> None:
    found = outcome(proof())
    assert found.state is State.PASS
    assert "512 tokens decoded from" in found.message
    assert found.evidence["bits"] == 8 * found.evidence["bitstream_bytes"]
    assert found.evidence["largest_gap_nats"] == 0.0
    assert found.evidence["label"] == LABEL
    assert found.where[0].line == EXPOSED.line
    assert named("C0-decode").grade is Grade.DECODED


def test_a_decoder_that_leaves_the_stream_twice_the_same_way_is_a_breach() -> None:
    twice = proof(encodings=(encoding(), encoding()), decodings=(wrong(37), wrong(37)))
    found = outcome(twice)
    assert (found.state, found.rules) == (State.FAIL, ("C1",))
    assert found.evidence["position"] == 37
    assert "all tokens before position 37" in found.message


@pytest.mark.parametrize(
    "second",
    [
        {"encodings": (encoding(), encoding(extra_bits=80)), "decodings": (wrong(37), wrong(37))},
        {"encodings": (encoding(), encoding()), "decodings": (wrong(37), wrong(40))},
        {"encodings": (encoding(), encoding()), "decodings": (wrong(37), Decoded(IDS))},
        {"encodings": (encoding(), Encoding(error="no time was left")), "decodings": (wrong(37), wrong(37))},
        {"encodings": (encoding(),), "decodings": (wrong(37),)},
    ],
    ids=["other bits", "other tokens", "right tokens", "no time", "never run again"],
)
def test_a_decoder_that_leaves_the_stream_by_accident_proves_nothing(second: dict[str, object]) -> None:
    found = outcome(proof(**second))
    assert found.state is State.UNVERIFIED
    assert "did not repeat the first" in found.message


def test_fewer_bits_than_the_entropy_leaves_are_a_breach_whether_or_not_they_are_read() -> None:
    known = encoding(LOSSES * 0.5)
    for decoded, words in (
        (Decoded(IDS), "the artifact holds the stream"),
        (wrong(3), "wrong from position 3"),
        (Decoded(IDS[:1], "FileNotFoundError: fineweb_val"), "FileNotFoundError"),
    ):
        found = outcome(proof(encodings=(known,), decodings=(decoded,)))
        assert (found.state, found.rules) == (State.FAIL, ("C1",))
        assert words in found.message


def test_a_lucky_stream_a_few_bits_under_its_entropy_is_legal() -> None:
    lucky = DRAWN.code_length_nats() - 60 * math.log(2) / DRAWN.targets
    own = record(run("uniform", DRAWN, scored(DRAWN, lucky)), decoding=proof(encodings=(encoding(lucky, 0),)))
    assert judge(own).state is State.PASS


def test_a_decoder_that_stops_with_an_error_is_no_breach() -> None:
    found = outcome(proof(decodings=(Decoded(IDS[:100], "FileNotFoundError: table.bin"),)))
    assert found.state is State.UNVERIFIED
    assert "after 99 of 512 tokens: FileNotFoundError" in found.message
    assert found.try_next is not None


def refused(total: float, device: Device = Device.CPU) -> Outcome:
    return outcome(proof(encodings=(Encoding(total=total, position=5),), decodings=()), device=device)


def test_a_sum_over_one_is_a_breach_of_c2_alone() -> None:
    found = refused(1.01)
    assert (found.state, found.rules) == (State.FAIL, ("C2",))
    assert (found.evidence["position"], found.evidence["sum"]) == (5, 1.01)


@pytest.mark.parametrize(
    ("total", "device", "state"),
    [
        (0.9, Device.CPU, State.WARN),
        (1.01, Device.CUDA, State.UNVERIFIED),
        (1.2, Device.CUDA, State.FAIL),
        (math.nan, Device.CPU, State.UNVERIFIED),
        (math.inf, Device.CPU, State.UNVERIFIED),
    ],
)
def test_a_sum_that_gains_nothing_or_that_rounding_makes_is_no_breach(
    total: float, device: Device, state: State
) -> None:
    assert refused(total, device).state is state


def test_another_score_than_the_runs_own_asks_for_a_reader() -> None:
    better = record(run("uniform", DRAWN, scored(DRAWN, LOSSES - 0.01)), decoding=proof())
    found = judge(better)
    assert found.state is State.WARN
    assert "it is another score" in found.message


def test_rounding_between_the_batched_and_the_stepwise_score_is_legal() -> None:
    noisy = LOSSES + np.random.default_rng(1).normal(0, 2e-3, LOSSES.size)
    assert judge(record(run("uniform", DRAWN, scored(DRAWN, noisy)), decoding=proof())).state is State.PASS


def test_bits_that_are_not_the_predictors_own_ask_for_a_reader() -> None:
    assert outcome(proof(encodings=(encoding(extra_bits=500),))).state is State.WARN
    impossible = encoding()
    impossible.nats[7] = math.inf
    assert outcome(proof(encodings=(impossible,))).state is State.WARN


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"why": "the run left no file x"}, "left no file"),
        ({"apart": False}, "keep encoder and decoder apart"),
        ({"encodings": (Encoding(error="wall-limit: 9 s"),), "decodings": ()}, "wall-limit"),
    ],
)
def test_what_could_not_be_shown_is_unverified(fields: dict[str, object], words: str) -> None:
    found = outcome(proof(**fields))
    assert found.state is State.UNVERIFIED
    assert words in found.message


def test_scores_that_are_not_known_token_by_token_are_unverified() -> None:
    unknown = record(run("uniform", DRAWN, scored(DRAWN, LOSSES, printed=9.0)), decoding=proof())
    assert judge(unknown).state is State.UNVERIFIED


def test_it_applies_only_where_it_was_asked_for_and_a_predictor_is_exposed() -> None:
    for probes in (None, record(run("uniform", DRAWN, scored(DRAWN, LOSSES)))):
        assert judge(probes).state is State.NOT_APPLICABLE
    assert outcome(proof(exposed=None)).state is State.NOT_APPLICABLE


def test_no_verdict_waits_for_it() -> None:
    def finding(state: State) -> Finding:
        return Finding("C0-decode", "", ("C1",), state, Grade.DECODED, "")

    honest = passing()
    assert decide(honest).call is Call.COMPLIANT
    for state in (State.NOT_APPLICABLE, State.UNVERIFIED, State.PASS):
        assert decide((*honest, finding(state))).call is Call.COMPLIANT
    assert decide((*honest, finding(State.FAIL))).call is Call.NON_COMPLIANT


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('ARTIFACT = "m.bin"\n\ndef predictor(a, t, n): ...\n', Exposed("a.py", "m.bin", 3)),
        ("ARTIFACT = NAME\ndef predictor(a, t, n): ...\n", Exposed("a.py", None, 2)),
        ('ARTIFACT = "../m.bin"\ndef predictor(a, t, n): ...\n', Exposed("a.py", None, 2)),
        ('ARTIFACT = "/m.bin"\ndef predictor(a, t, n): ...\n', Exposed("a.py", None, 2)),
        ('ARTIFACT = "m.bin"\nclass A:\n    def predictor(self): ...\n', None),
        ("def predictor(:\n", None),
    ],
)
def test_a_predictor_is_read_from_the_top_level(source: str, expected: Exposed | None) -> None:
    assert read_exposed("a.py", source) == expected


def test_a_file_beside_the_script_speaks_before_the_script(tmp_path: Path) -> None:
    text = 'ARTIFACT = "m.bin"\ndef predictor(a, t, n): ...\n'
    alone = script(text, path="inner/train_gpt.py")
    assert exposed_predictor(tmp_path, alone) == Exposed("inner/train_gpt.py", "m.bin", 2)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "predictor.py").write_text("import torch\n" + text)
    assert exposed_predictor(tmp_path, alone) == Exposed("inner/predictor.py", "m.bin", 3)


def test_the_check_knows_the_coders_numbers_without_importing_it() -> None:
    for name in ("PRECISION_BITS", "MASS_ERROR", "FLUSH_BITS"):
        assert getattr(decoding, name) == getattr(coder, name)
    code = "import sys, verifier.checks as c; c.load_checks(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unfinished_decoding_is_compared_as_far_as_it_came() -> None:
    assert Decoded(IDS[:5]).first_difference(IDS) is None
    assert replace(wrong(3), ids=wrong(3).ids[:5]).first_difference(IDS) == 3
