"""Decode proofs of an honest predictor and of edits of it: what peeks cannot be decoded."""

from __future__ import annotations

import os
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.cheats.corpus import write_folder
from tests.cheats.predictors import ENTRIES, EXPOSED, script
from tests.verifier.checks.builders import named, submission
from tests.verifier.checks.builders import script as read_script
from tests.verifier.probe.builders import TapeBuilder
from verifier.audit import audit
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, State
from verifier.probe.decoder import Setup, prove
from verifier.probe.decoding import read_exposed
from verifier.probe.device import Device
from verifier.probe.passes import find_passes
from verifier.probe.record import ProbeRecord, Run
from verifier.probe.runner import PACKAGE_ROOT
from verifier.probe.tape import Tape
from verifier.probe.view import package_folders
from verifier.probe.vocabulary import Vocabulary

TOKENS = 96
LIMIT_SECONDS = 120.0
SETTINGS = {"TRAIN_SEQ_LEN": "64", "MODEL_DIM": "16", "EVAL_STRIDE": "16"}
BY_NAME = {entry.name: entry for entry in ENTRIES}
VOCABULARY = Vocabulary.of_size(1024)
STREAM = VOCABULARY.uniform().draw(256, (3,))


@pytest.fixture(scope="module")
def exposed() -> types.ModuleType:
    """The script with the honest predictor, imported and not run."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        module = types.ModuleType("exposed")
        exec(compile(EXPOSED, "train_gpt.py", "exec"), module.__dict__)
    return module


@pytest.fixture(scope="module")
def artifact(exposed: types.ModuleType) -> bytes:
    torch.manual_seed(0)
    blob: bytes = exposed.quantize(exposed.Model(1024, 16), torch.arange(64)[None])
    return blob


def proof_of(name: str, artifact: bytes, folder: Path) -> Outcome:
    text = script(BY_NAME[name])
    write_folder(folder, text)
    found = read_exposed("train_gpt.py", text)
    assert found is not None
    setup = Setup(
        folder=folder,
        script=read_script(text),
        exposed=found,
        artifact=artifact,
        vocabulary=VOCABULARY,
        stream=STREAM,
        train_seed=(4,),
        sizes={},
        environment={
            **SETTINGS,
            **VOCABULARY.data_paths(),
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": os.pathsep.join(map(str, (PACKAGE_ROOT, *package_folders()))),
        },
        device=Device.CPU,
    )
    decoding = prove(setup, TOKENS, LIMIT_SECONDS, lambda stage: None)
    # A base run that scored what the step protocol gives: what is tested here is the decoding.
    tape = TapeBuilder()
    nats = decoding.encodings[0].nats
    if nats.size:
        tape.score(range(1, TOKENS + 1), nats)
        tape.print(float(nats.mean()))
    made = tape.tape() if nats.size else Tape()
    passes = find_passes(made) or find_passes(_printed())
    base = Run("uniform", STREAM, "finished", "", 1.0, made, passes, np.ones(STREAM.ids.size, dtype=np.int64))
    result = named("C0-decode").function(
        Evidence(submission(shipped=read_script(text)), ProbeRecord(1, "audit", (base,), decoding=decoding))
    )
    assert isinstance(result, Outcome)
    return result


def _printed() -> Tape:
    tape = TapeBuilder()
    tape.print(7.0)
    return tape.tape()


def test_each_entry_is_one_edit_with_a_legal_twin() -> None:
    assert len(BY_NAME) == len(ENTRIES)
    for entry in ENTRIES:
        compile(script(entry), entry.name, "exec")
        assert entry.legal or BY_NAME[entry.twin or ""].legal


def test_the_steps_of_the_honest_predictor_are_its_evaluation(
    exposed: types.ModuleType, artifact: bytes, tmp_path: Path
) -> None:
    (tmp_path / "model.bin").write_bytes(artifact)
    tokens = torch.from_numpy(STREAM.ids.astype(np.int64))
    steps = exposed.predictor(tmp_path / "model.bin", tmp_path, STREAM.targets)
    steps.reset()
    nats = []
    for token in tokens.tolist():
        if steps.tokens:
            nats.append(-steps.log_probs()[token].item())
        steps.update(token)
    tables = (torch.ones(1024, dtype=torch.int64), *[torch.zeros(1024, dtype=torch.bool)] * 2)
    args = exposed.Hyperparameters()
    loss, _ = exposed.evaluate(args, exposed.restore(args, artifact), tokens, tables, args.eval_stride)
    assert np.mean(nats) == pytest.approx(loss, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "state", "rules", "words"),
    [
        ("learning-steps", State.PASS, None, "96 tokens decoded from"),
        ("file-peek", State.FAIL, ("C1",), "odds of this from a legal predictor"),
        ("file-peek-slight", State.FAIL, ("C1",), "used more than the past"),
        ("stack-peek", State.FAIL, ("C1",), "used more than the past"),
        ("over-one", State.FAIL, ("C2",), "at position 1 sum to"),
        ("another-each-time", State.UNVERIFIED, None, "did not repeat the first"),
    ],
)
def test_what_peeks_cannot_be_decoded(
    name: str, state: State, rules: tuple[str, ...] | None, words: str, artifact: bytes, tmp_path: Path
) -> None:
    outcome = proof_of(name, artifact, tmp_path / name)
    assert (outcome.state, outcome.rules) == (state, rules), outcome.message
    assert words in outcome.message


@pytest.mark.slow
def test_an_audit_ends_with_the_proof(tmp_path: Path) -> None:
    report = audit(write_folder(tmp_path / "record", script(BY_NAME["steps"])), seed=1, decode_tokens=256)
    (finding,) = [each for each in report.findings if each.check == "C0-decode"]
    assert (finding.state, finding.grade) == (State.PASS, Grade.DECODED), finding.message
    assert finding.evidence["compared_tokens"] == 256
