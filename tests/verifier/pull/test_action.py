"""The action and the workflows: their shell steps run as written, and what they may do stays little."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.verifier.intake.repositories import Repo, submission

ROOT = Path(__file__).parents[3]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / "docs/workflows").glob("*.yml")}
STEPS = {step.get("name", step.get("uses")): step for step in ACTION["runs"]["steps"]}
FOLDER = "records/track_10min_16mb/2026-05-01_Mine"


@pytest.fixture
def runner(tmp_path: Path) -> dict[str, str]:
    """The environment of a step of a runner, with a `pgolf-verify` that is this working tree."""
    command = tmp_path / "bin/pgolf-verify"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m verifier "$@"\n')
    command.chmod(0o755)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "PGOLF_VERIFY": str(command),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "VERDICTS": str(tmp_path / "verdicts.txt"),
        "OUT": str(tmp_path / "out with blanks"),
        "LEVEL": "documents",
        "TIME_LIMIT": ACTION["inputs"]["time-limit"]["default"],
        "PR": "7",
    }


def shell(step: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a step as the runner does. Every variable that the step declares must be there."""
    missing = set(STEPS[step]["env"]) - set(environment)
    assert not missing
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[step]["run"]],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def outputs(environment: dict[str, str]) -> dict[str, str]:
    lines = Path(environment["GITHUB_OUTPUT"]).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("claimed", "verdict", "code"),
    [("1.2", "NEEDS_REVIEW", "3"), (None, "NONE", "0"), ("0.2", "NON_COMPLIANT", "1")],
)
def test_the_audit_step_leaves_reports_a_verdict_and_a_summary(
    runner: dict[str, str], tmp_path: Path, claimed: str | None, verdict: str, code: str
) -> None:
    repo = Repo(tmp_path / "a repository")
    files = submission(FOLDER) if claimed else {"README.md": "x\n"}
    if claimed == "0.2":  # an artifact over the limit, by the log's own count
        files[f"{FOLDER}/train_seed1.log"] = "Total submission size int8+zlib: 17000000 bytes\nval_bpb:1.2\n"
    head = repo.pull(7, files)
    runner |= {"REPOSITORY": str(repo.path), "BASE": "main", "HEAD": head}
    done = shell("Audit what the pull request adds", runner)
    assert done.returncode == 0, done.stderr
    assert outputs(runner) == {"verdict": verdict, "code": code}
    assert (Path(runner["OUT"]) / "pull.json").is_file()
    summary = Path(runner["GITHUB_STEP_SUMMARY"])
    assert summary.is_file() is (claimed is not None)
    assert claimed is None or f"### pgolf-verify: {verdict}" in summary.read_text()


def test_a_commit_with_shell_in_its_name_is_only_a_name(runner: dict[str, str], tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    runner |= {"REPOSITORY": str(repo.path), "BASE": "main", "HEAD": f"$(touch {tmp_path}/taken)"}
    done = shell("Audit what the pull request adds", runner)
    assert done.returncode == 2
    assert not (tmp_path / "taken").exists()


@pytest.mark.parametrize(
    ("fail_on", "code", "status"),
    [
        ("non-compliant", "0", 0),
        ("non-compliant", "1", 1),
        ("non-compliant", "3", 0),
        ("review", "3", 3),
        ("review", "0", 0),
        ("never", "1", 0),
        ("sometimes", "0", 2),
    ],
)
def test_the_last_step_fails_on_what_was_asked(fail_on: str, code: str, status: int) -> None:
    environment = {"PATH": os.environ["PATH"], "FAIL_ON": fail_on, "CODE": code}
    assert shell("Fail on the verdict", environment).returncode == status


def uses(document: Any) -> list[str]:
    """Every action that a file calls."""
    if isinstance(document, dict):
        own = [document["uses"]] if isinstance(document.get("uses"), str) else []
        return own + [each for value in document.values() for each in uses(value)]
    return [each for value in document for each in uses(value)] if isinstance(document, list) else []


def test_no_script_holds_an_expression() -> None:
    """What GitHub pastes into a script is run; what it puts into the environment is not."""
    for document in (ACTION, *WORKFLOWS.values()):
        jobs = document.get("jobs") or {"action": document["runs"]}
        for job in jobs.values():
            assert not [step["run"] for step in job["steps"] if "${{" in step.get("run", "")]


def test_every_action_is_pinned_to_a_commit() -> None:
    for document in (ACTION, *WORKFLOWS.values()):
        for name in uses(document):
            assert re.fullmatch(r"[\w./-]+@([0-9a-f]{40}|COMMIT)", name), name


def test_the_job_that_runs_untrusted_code_can_only_read() -> None:
    workflow = WORKFLOWS["pgolf-verify"]
    assert workflow["permissions"] == {}
    assert set(workflow[True]) == {"pull_request"}  # YAML 1.1 reads `on` as a truth value
    assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == {
        "audit": {"contents": "read"}
    }
    text = (ROOT / "docs/workflows/pgolf-verify.yml").read_text()
    assert "secrets." not in text
    assert "github.token" not in text
    checkout = workflow["jobs"]["audit"]["steps"][0]["with"]
    assert checkout["persist-credentials"] is False


def test_the_job_that_may_write_takes_nothing_of_the_pull_request_but_the_artifact() -> None:
    workflow = WORKFLOWS["pgolf-verify-publish"]
    assert set(workflow[True]) == {"workflow_run"}
    assert workflow["permissions"] == {}
    (job,) = workflow["jobs"].values()
    assert job["permissions"] == {
        "actions": "read",
        "contents": "read",
        "pull-requests": "write",
        "security-events": "write",
    }
    assert not [name for name in uses(workflow) if name.startswith("actions/checkout")]
    text = (ROOT / "docs/workflows/pgolf-verify-publish.yml").read_text()
    taken = set(re.findall(r"github\.event\.workflow_run\.(\w+)", text))
    # Branch names and titles are the author's words; these are GitHub's own.
    assert taken == {"event", "conclusion", "id", "head_sha"}
