"""The commands around a repository and a field of submissions: what they print, write and exit with."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.verifier import fakes
from tests.verifier.batch.audits import fake_audit
from tests.verifier.intake.repositories import RECORD, Repo, submission
from verifier.batch.line import Line
from verifier.batch.local import LocalExecutor
from verifier.cli import app
from verifier.report.json import read_report

ROOT = Path(__file__).parents[2]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> fakes.World:
    """The fake parts, and a repository `clone` with pull request 7 in the working directory."""
    monkeypatch.chdir(tmp_path)
    Repo(tmp_path / "clone").pull(7, submission(RECORD))
    return fakes.install(monkeypatch)


def run(*args: str) -> Result:
    return CliRunner().invoke(app, args, prog_name="pgolf-verify")


# ---- audit --git --------------------------------------------------------------------------------


def test_a_pull_request_is_audited_and_the_report_says_where_it_came_from(world: fakes.World) -> None:
    result = run("--git", "clone", "--pr", "7", "--json")
    assert result.exit_code == 3
    report = read_report(result.stdout)
    origin = report.submission.git
    assert origin is not None
    assert (origin.repository, origin.pr, origin.folder) == ("clone", 7, RECORD)
    assert report.submission.path == RECORD
    assert f"#7 at {origin.sha[:12]}: {RECORD}" in result.stderr


def test_a_report_from_git_replays_from_git(world: fakes.World, tmp_path: Path) -> None:
    world.run_probes = lambda submission, **options: fakes.record(options["seed"], gain_bits=611.0)
    assert run("--git", "clone", "--pr", "7", "--output", "out", "-q").exit_code == 1
    assert run("replay", "out/report.json").exit_code == 0
    (tmp_path / "clone").rename(tmp_path / "moved")
    result = run("replay", "out/report.json")
    assert result.exit_code == 2
    assert "--git REPO, or --folder DIR" in result.stderr
    assert run("replay", "out/report.json", "--git", "moved").exit_code == 0


def test_the_line_that_repeats_an_audit_from_git_can_be_pasted(world: fakes.World) -> None:
    world.run_probes = lambda submission, **options: fakes.record(options["seed"], gain_bits=611.0)
    printed = run("--git", "clone", "--pr", "7", "--seed", "5").stdout
    line = next(line for line in printed.splitlines() if "--git" in line)
    words = shlex.split(line[line.index("pgolf-verify") :])
    again = run(*words[1:], "--json")
    assert read_report(again.stdout).run.seeds == (5,)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--pr", "7"], "--pr needs --git REPO"),
        (["--git", "clone"], "--git needs a pull request or a commit"),
        (["clone", "--git", "clone", "--pr", "7"], "both a folder, clone, and --git clone"),
        (["--git", "clone", "--pr", "8"], "does not hold pull request 8"),
        (["--git", "nowhere", "--pr", "7"], "there is no repository nowhere"),
        (["--git", ".", "--pr", "7"], "is not a git repository"),
        (["--git", "clone", "--pr", "7", "--folder", "x"], "has no folder x"),
        (["audit"], "nothing to audit"),
        (["batch"], "nothing to audit"),
        (["batch", "--prs", "7"], "--prs needs --git REPO"),
        (["batch", "--git", "clone"], "--git needs one of --prs, --all and --list"),
        (["batch", "--git", "clone", "--all", "--prs", "7"], "--git needs one of"),
        (["batch", "clone", "--git", "clone"], "both folders and --git"),
        (["batch", "--git", "clone", "--prs", "7,x"], "cannot be read"),
        (["batch", "--git", "clone", "--prs", "7,8,9"], "lacks 2 of the pull requests: 8, 9"),
        (["batch", "nowhere"], "there is no folder nowhere"),
        (["score", "nowhere", "labels.jsonl"], "cannot be read"),
        (["score", "index.jsonl", "nowhere"], "cannot be read"),
        (["score", "index.jsonl", "labels.jsonl", "--out", "x.txt"], "ends in .md or .json"),
        (["score", "index.jsonl", "labels.jsonl", "--write", "page.md"], "has no <!-- scoreboard -->"),
    ],
)
def test_usage_errors_exit_2_and_say_what_to_do(
    world: fakes.World, tmp_path: Path, args: list[str], expected: str
) -> None:
    (tmp_path / "index.jsonl").write_text("")
    (tmp_path / "labels.jsonl").write_text("")
    (tmp_path / "page.md").write_text("a page\n")
    result = run(*args)
    assert expected in " ".join(result.stderr.split())
    assert result.exit_code == 2
    assert world.probed_with == []


# ---- batch --------------------------------------------------------------------------------------


def test_batch_audits_pull_requests_and_a_second_run_has_nothing_to_do(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "clone")
    repo.pull(7, submission(RECORD))
    repo.pull(8, {"README.md": "a typo\n"})
    where = ["--git", str(repo.path), "--out", str(tmp_path / "out"), "--level", "documents", "--jobs", "1"]
    result = run("batch", *where, "--all")
    assert result.exit_code == 0, result.stderr
    lines = [json.loads(row) for row in (tmp_path / "out" / "index.jsonl").read_text().splitlines()]
    assert [(line["pr"], line["status"], line["folder"]) for line in lines] == [
        (7, "audited", RECORD),
        (8, "nothing", None),
    ]
    report = read_report((tmp_path / "out" / lines[0]["report"]).read_text())
    assert report.submission.git is not None
    assert report.submission.git.sha == lines[0]["sha"]
    again = run("batch", *where, "--prs", "#7 8")
    assert "2 of 2 were done before" in again.stderr
    assert run("batch", *where, "--prs", "7", "--seed", "1").exit_code == 2


def test_batch_takes_the_rows_of_a_list(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "clone")
    first = repo.pull(7, submission(RECORD), submission(f"{RECORD}_b"))
    repo.pull(7, submission(f"{RECORD}_later"))
    rows = [{"pr": 7, "head_sha": first, "folder": RECORD, "label": "legal"}]
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    result = run(
        *("batch", "--git", str(repo.path), "--list", str(tmp_path / "list.jsonl")),
        *("--out", str(out), "--level", "documents", "--quiet"),
    )
    assert (result.exit_code, result.stdout) == (0, f"{out / 'index.jsonl'}\n")
    line = json.loads((out / "index.jsonl").read_text())
    assert (line["sha"], line["folder"]) == (first, RECORD)


def test_batch_exits_3_when_one_could_not_be_audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [tmp_path / "a", tmp_path / "raises"]
    for folder in folders:
        folder.mkdir()

    monkeypatch.setattr("verifier.cli.batch.LocalExecutor", lambda jobs: LocalExecutor(jobs, fake_audit))
    result = run("batch", *map(str, folders), "--out", str(tmp_path / "out"), "--level", "documents")
    assert result.exit_code == 3
    assert "1  could not be audited" in result.stdout
    assert "--retry" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_batch_that_is_stopped_says_how_to_go_on(tmp_path: Path, end: signal.Signals) -> None:
    for number in range(200):
        folder = tmp_path / "in" / f"{number}"
        folder.mkdir(parents=True)
        (folder / "submission.json").write_text('{"val_bpb": 1.2}')
    command = [
        *(sys.executable, "-m", "verifier", "batch", *map(str, (tmp_path / "in").iterdir())),
        *("--out", str(tmp_path / "out"), "--level", "documents", "--jobs", "1"),
    ]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    index = tmp_path / "out" / "index.jsonl"
    while not (index.exists() and index.read_text().count("\n") >= 2) and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, end)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "of 200 are done and kept in" in stderr
    assert "run the same command again" in stderr
    assert "Traceback" not in stderr
    assert not list((tmp_path / "out" / "reports").glob(".*"))


# ---- score --------------------------------------------------------------------------------------


def test_score_prints_and_writes_between_markers(world: fakes.World, tmp_path: Path) -> None:
    line = Line("k", "7", "audited", "COMPLIANT", "repo", 7)
    (tmp_path / "index.jsonl").write_text(json.dumps(line.to_document()) + "\n")
    (tmp_path / "labels.jsonl").write_text(
        '{"pr": 7, "label": "illegal", "confidence": "high", "violations": ["C1"]}\n'
    )
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- scoreboard -->\nold\n<!-- /scoreboard -->\nafter\n")
    result = run("score", ".", "labels.jsonl", "--write", "page.md", "--out", "board.json")
    assert result.exit_code == 0
    assert "misses: 1" in result.stdout
    text = page.read_text()
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "#7 illegal high C1" in text.replace("\\", "")
    assert json.loads((tmp_path / "board.json").read_text())["misses"] == [7]


def test_a_quiet_score_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "index.jsonl").write_text("")
    (tmp_path / "labels.jsonl").write_text('{"pr": 7, "label": "illegal"}\n')
    result = run("score", str(tmp_path / "index.jsonl"), str(tmp_path / "labels.jsonl"), "--quiet")
    assert result.exit_code == 0
    assert result.stdout == "0 false accusations, 0 misses, 1 without a report\n"
