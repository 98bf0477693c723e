"""`pgolf-verify compare`: folders, saved reports and pull requests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.verifier.intake.repositories import RECORD, Repo, submission
from tests.verifier.report import samples
from tests.verifier.test_challenge import HOLDER, made
from verifier.cli import app
from verifier.report.json import render_json


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["compare", *args], prog_name="pgolf-verify")


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new.json").write_text(render_json(made([1.06, 1.061, 1.0605])), encoding="utf-8")
    (tmp_path / "old.json").write_text(render_json(made(HOLDER)), encoding="utf-8")
    (tmp_path / "cheat.json").write_text(render_json(samples.cheat()), encoding="utf-8")


@pytest.mark.usefixtures("saved")
def test_two_saved_reports_are_compared_without_an_audit() -> None:
    result = run("new.json", "old.json")
    assert result.exit_code == 0
    assert "YES   final practice" in result.stdout
    assert run("new.json", "old.json", "-q").stdout == "YES by the final practice, YES by the written rule\n"


@pytest.mark.usefixtures("saved")
def test_json_and_markdown_are_alone_on_stdout() -> None:
    assert json.loads(run("cheat.json", "old.json", "--json").stdout)["practice"]["answer"] == "NO"
    assert run("new.json", "old.json", "--markdown").stdout.startswith("### Is ")
    assert run("new.json", "old.json", "--json", "--markdown").exit_code == 2


def test_pull_requests_and_folders_are_audited_without_running_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    repo = Repo(tmp_path / "clone")
    repo.pull(7, submission(RECORD))
    repo.pull(8, submission(RECORD))
    result = run("--git", "clone", "7", "#8", "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert [document[side]["pr"] for side in ("challenger", "holder")] == [7, 8]
    assert [document[side]["level"] for side in ("challenger", "holder")] == ["static", "static"]


@pytest.mark.usefixtures("saved")
def test_what_cannot_be_compared_is_said_in_one_block() -> None:
    number = run("1430", "old.json")
    assert number.exit_code == 2
    assert "for pull request 1430: --git REPO" in number.stderr
    missing = run("nowhere", "old.json")
    assert missing.exit_code == 2
    assert "there is no folder nowhere" in missing.stderr
    Path("broken.json").write_text("{}", encoding="utf-8")
    assert "is not a report" in run("broken.json", "old.json").stderr
