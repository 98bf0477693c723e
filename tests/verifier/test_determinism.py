"""The same folder and seed give the same report, but for its seconds; without a seed it is drawn fresh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cheats.corpus import write_folder
from verifier.audit import Level, audit
from verifier.intake import load_submission
from verifier.probe.runner import run_probes
from verifier.report.json import render_json
from verifier.report.model import Report

SCRIPT = """
import glob, os
import numpy as np, torch, torch.nn.functional as F

path = sorted(glob.glob(f"{os.environ.get('DATA_PATH', './data')}/fineweb_val_*.bin"))[0]
ids = torch.from_numpy(np.fromfile(path, dtype="<u2", offset=1024).astype(np.int64))
scale = torch.rand(1, generator=torch.Generator().manual_seed(1))
logits = scale * F.one_hot(ids[:-1], 1024).float()
loss = F.cross_entropy(logits, ids[1:], reduction="none").double().mean().item()
print(f"final_int8_zlib_sliding_exact val_loss:{loss:.8f} val_bpb:{loss:.8f}")
"""


def without_seconds(report: Report) -> Any:
    """A report as its readers get it, less every `seconds`: what else is in it must not depend on the machine's load."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(each) for key, each in value.items() if key != "seconds"}
        return [strip(each) for each in value] if isinstance(value, list) else value

    return strip(json.loads(render_json(report, "report.json")))


@pytest.mark.slow
def test_the_same_seed_gives_the_same_report(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "submission", SCRIPT)
    first, second = (without_seconds(audit(folder, seed=5)) for _ in range(2))
    assert {run["status"] for run in first["run"]["runs"]} == {"finished"}
    assert first == second


def test_documents_and_source_give_the_same_report(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "submission", SCRIPT)
    assert without_seconds(audit(folder, level=Level.STATIC)) == without_seconds(
        audit(folder, level=Level.STATIC)
    )


def test_a_seed_that_is_not_given_comes_from_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = load_submission(write_folder(tmp_path / "submission", ""))
    assert len({run_probes(submission).seed for _ in range(8)}) == 8
    monkeypatch.setattr("secrets.randbits", lambda bits: bits)
    assert run_probes(submission).seed == 63
    assert run_probes(submission, seed=0).seed == 0
