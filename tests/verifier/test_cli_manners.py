"""What every command owes a user: examples, suggestions, completion, and a clean end on Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from verifier.cli import app

COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def run(*args: str, **environment: str) -> Result:
    return CliRunner().invoke(app, args, prog_name="pgolf-verify", env=environment)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_shows_how_it_is_called(command: str) -> None:
    shown = run(command, "--help")
    assert shown.exit_code == 0
    lines = re.findall(r"^ +pgolf-verify (.+)$", shown.stdout.partition("Examples:")[2], re.MULTILINE)
    assert lines, shown.stdout
    assert all(command == "audit" or line.split()[0] == command for line in lines)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_keeps_to_a_narrow_terminal(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], prog_name="pgolf-verify", terminal_width=60)
    text = shown.stdout.partition("Examples:")[0]
    assert max(len(line) for line in text.splitlines()) <= 60


@pytest.mark.parametrize(
    ("args", "what", "suggestion"),
    [
        (
            ["sroce", "field", "labels.jsonl"],
            "no folder and no command sroce",
            "did you mean score?",
        ),
        (["explian", "E1-floor"], "no command explian", "did you mean explain?"),
        (["explain", "E1-flor"], "no check or rule is called", "did you mean E1-floor?"),
        (["x", "--levle", "static"], "no such option: --levle", "did you mean --level"),
        (["batch", "--jbos", "3"], "no such option: --jbos", "did you mean --jobs?"),
        (
            ["export", "x", "--format", "cvs"],
            "'cvs' is not one of 'csv', 'junit'",
            "`pgolf-verify export --help`",
        ),
        (["score", "x"], "missing argument 'LABELS'", "`pgolf-verify score --help`"),
    ],
)
def test_what_is_mistyped_is_told_with_what_was_meant(args: list[str], what: str, suggestion: str) -> None:
    result = run(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    first, _, rest = result.stderr.partition("\n")
    assert first.startswith("error  ")
    assert what in first
    assert suggestion in rest


def test_a_folder_that_is_nearly_there_is_suggested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "entries" / "scored_slot").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert "did you mean entries/scored_slot?" in run("entries/scored_slto").stderr


def test_a_place_that_cannot_be_written_is_told_alike_by_every_command(tmp_path: Path) -> None:
    empty = tmp_path / "index.jsonl"
    empty.touch()
    out = str(tmp_path / "no" / "board.json")
    for args in (("export", str(empty), "--format", "csv"), ("score", str(empty), str(empty), "--quiet")):
        result = run(*args, "--out", out)
        assert result.exit_code == 2
        assert (
            result.stderr == f"error  --out {out} cannot be written\n  found     No such file or directory\n"
        )


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", {"audit", "explain", "batch"}),
        ("--le", {"--level"}),
        ("--ver", {"--version"}),
        ("explain E1", {"E1-floor"}),
        ("explain R-04", {"R-040", "R-041"}),
        ("replay report.json --finding C1-f", {"C1-flip"}),
        ("rules --edition ", {"2026-05-02"}),
        ("entry --level ", {"documents", "static", "probes"}),
        ("export field --format ", {"csv", "junit"}),
        ("entr", set()),
    ],
)
def test_a_shell_completes(typed: str, offered: set[str]) -> None:
    words = f"pgolf-verify {typed}"
    asked = {
        "_PGOLF_VERIFY_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - (not words.endswith(" "))),
    }
    found = set(run(**asked).stdout.split())
    assert found >= offered
    assert bool(found) is bool(offered)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_audit_leaves_no_scratch_and_no_child(number: signal.Signals, tmp_path: Path) -> None:
    """The script waits for ever, and the audit is ended once the script runs."""
    entry, scratch = tmp_path / "entry", tmp_path / "scratch"
    entry.mkdir()
    scratch.mkdir()
    (entry / "train_gpt.py").write_text("while True:\n    pass\n")
    audit = subprocess.Popen(
        [sys.executable, "-m", "verifier", str(entry), "--output", str(tmp_path / "out")],
        env={**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while audit.poll() is None and len(_children(audit.pid)) < 2:
        os.sched_yield()
    before = _children(audit.pid)
    audit.send_signal(number)
    _, said = audit.communicate()
    assert (audit.returncode, said) == (130, "error  interrupted; nothing was written\n")
    assert list(scratch.iterdir()) == []
    assert list((tmp_path / "out").iterdir()) == []
    assert len(before) == 2
    assert not [pid for pid in before if Path(f"/proc/{pid}").exists()]


def _children(pid: int) -> list[str]:
    return [
        child for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()
    ]
