"""An audit from folder to report, with the parts around it faked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.verifier import fakes
from verifier.audit import PROBE_CHECK, SEED_BITS, Level, audit
from verifier.checks import Check
from verifier.finding import Grade, State, warned
from verifier.report.json import load_schema, render_json
from verifier.submission import Problem
from verifier.verdict import Call


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> fakes.World:
    return fakes.install(monkeypatch)


def test_a_whole_audit_is_a_valid_report(world: fakes.World, tmp_path: Path) -> None:
    report = audit(tmp_path, seed=7)
    jsonschema.Draft202012Validator(load_schema()).validate(json.loads(render_json(report)))
    assert report.run.seeds == (7,)
    assert report.rule_edition == "2026-05-02"
    assert [rule.id for rule in report.rules] == ["R-001", "R-060"]
    assert report.bpb.measured is not None
    assert report.bpb.measured.scale == "audit"
    assert report.run.environment[0].name == "TTT_ENABLED"


def test_logged_is_the_final_line_of_the_claimed_metric(world: fakes.World, tmp_path: Path) -> None:
    (logged,) = audit(tmp_path, level=Level.DOCUMENTS).bpb.logged
    assert (logged.val_bpb, logged.seed, logged.line) == (1.1194, 42, 77)


def test_documents_run_nothing_and_are_never_compliant(world: fakes.World, tmp_path: Path) -> None:
    report = audit(tmp_path, level=Level.DOCUMENTS)
    assert world.probed_with == []
    assert report.run.seeds == ()
    assert report.verdict.call is Call.NEEDS_REVIEW


@pytest.mark.parametrize(("level", "read", "ran"), [("documents", 0, 0), ("static", 1, 0), ("probes", 1, 1)])
def test_each_level_does_what_the_one_before_does(
    world: fakes.World, tmp_path: Path, level: str, read: int, ran: int
) -> None:
    static = Check("X9-read", "as read", Grade.STATIC, ("R-099",), lambda evidence: warned("a line"))
    world.checks = (*fakes.CHECKS, static)
    report = audit(tmp_path, level=Level(level))
    assert [finding.check for finding in report.findings].count("X9-read") == read
    assert len(world.probed_with) == ran
    assert report.run.level == level
    jsonschema.Draft202012Validator(load_schema()).validate(json.loads(render_json(report)))


def test_a_fresh_seed_for_each_audit(world: fakes.World, tmp_path: Path) -> None:
    seeds = {audit(tmp_path).run.seeds[0] for _ in range(8)}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**SEED_BITS for seed in seeds)


def test_the_time_limit_is_what_reading_left_of_it(world: fakes.World, tmp_path: Path) -> None:
    audit(tmp_path, time_limit_seconds=50)
    assert 40 < world.probed_with[0]["time_limit_seconds"] <= 50


def test_a_probe_runner_that_raises_is_an_error_finding(world: fakes.World, tmp_path: Path) -> None:
    def broken(submission: Any, **options: Any) -> None:
        raise OSError("no space left")

    world.run_probes = broken
    report = audit(tmp_path, seed=3)
    error = next(finding for finding in report.findings if finding.check == PROBE_CHECK)
    assert error.state is State.ERROR
    assert "no space left" in error.message
    assert "Traceback" in error.evidence["traceback"]
    assert report.run.not_run == error.message
    assert report.verdict.call is Call.NEEDS_REVIEW
    assert {finding.state for finding in report.findings} == {State.ERROR, State.UNVERIFIED, State.PASS}


@pytest.mark.parametrize("script", [True, False])
def test_a_folder_that_cannot_run_is_not_run(world: fakes.World, tmp_path: Path, script: bool) -> None:
    problem = Problem("script-syntax", "train_gpt.py does not parse", fatal=True)
    world.load = lambda folder: fakes.submission(folder, *([problem] if script else []), script=script)
    report = audit(tmp_path)
    assert world.probed_with == []
    assert report.run.not_run == (
        "train_gpt.py does not parse" if script else "the folder has no training script"
    )


def test_every_required_pass_is_compliant(world: fakes.World, tmp_path: Path) -> None:
    world.checks = fakes.compliant_checks()
    assert audit(tmp_path).verdict.call is Call.COMPLIANT


def test_a_fail_carries_the_legal_contrast_of_its_page(world: fakes.World, tmp_path: Path) -> None:
    world.run_probes = lambda submission, **options: fakes.record(options["seed"], gain_bits=611.0)
    report = audit(tmp_path)
    assert report.verdict.call is Call.NON_COMPLIANT
    assert report.legal == {"E1-floor": "score a chunk, then train on it (`#549`)."}


def test_stages_are_told(world: fakes.World, tmp_path: Path) -> None:
    told: list[str] = []
    audit(tmp_path, progress=lambda stage: told.append(stage.text))
    assert told == ["reading the folder", "running the probes", "null run", "checking"]
