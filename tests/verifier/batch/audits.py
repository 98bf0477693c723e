"""Audits that take no time, or misbehave, by the name of the folder that they are given.

Each leaves a line in `ran` in its folder when it begins. Named by module and function, so that the processes
of an executor can find them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from tests.verifier.report import samples
from verifier import __version__
from verifier.batch import Book, Counts, Settings, Task, run_batch
from verifier.batch.book import open_book
from verifier.batch.line import Line
from verifier.batch.local import LocalExecutor
from verifier.intake import IntakeError
from verifier.report.json import render_json
from verifier.report.model import RunInfo

HOW = Settings("documents", 1.0, None, "test", "2026-05-02")


def report_of(task: Task) -> str:
    report = replace(
        samples.report(samples.FLOOR_FAIL),
        tool_version=__version__,
        rule_edition=task.settings.rule_edition,
        submission=replace(samples.report().submission, path=task.path, name=Path(task.path).name),
        run=RunInfo(level=task.settings.level),
    )
    return render_json(report)


def fake_audit(task: Task) -> str:
    folder = Path(task.path)
    with open(folder / "ran", "a") as ran:
        ran.write(f"{os.getpid()}\n")
    name = folder.name
    if name.startswith("slow"):
        time.sleep(0.15)
    elif name.startswith("stuck"):
        subprocess.run(["sleep", "600"])
    elif name.startswith("raises"):
        raise ZeroDivisionError("by design")
    elif name.startswith("empty"):
        raise IntakeError("nothing there")
    elif name.startswith("dies"):
        print("last words", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    elif name.startswith("exits"):
        os._exit(7)
    elif name.startswith("lies"):
        return report_of(replace(task, path="/another"))
    elif name.startswith("writes"):
        print("on stdout")
        print("on stderr", file=sys.stderr)
    return report_of(task)


def times_run(task: Task) -> int:
    ran = Path(task.path) / "ran"
    return len(ran.read_text().splitlines()) if ran.exists() else 0


def folders(root: Path, *names: str) -> list[Task]:
    for name in names:
        (root / name).mkdir(parents=True)
    return [Task(HOW, str(root / name)) for name in names]


class Watched:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.done: list[Line] = []
        self.started: list[Task] = []
        self.ended: list[Line] = []

    def begins(self, tasks: int, done: object) -> None:
        self.done = list(done)  # type: ignore[call-overload]

    def starts(self, task: Task) -> None:
        self.started.append(task)

    def ends(self, line: Line) -> None:
        self.ended.append(line)


def run(
    tasks: list[Task], out: Path, *, jobs: int = 2, margin_seconds: float = 60.0, retry: bool = False
) -> tuple[Counts, Book, Watched]:
    watched = Watched()
    with open_book(out, HOW) as book:
        counts = run_batch(
            tasks, book, lambda: LocalExecutor(jobs, fake_audit, margin_seconds), watched, retry=retry
        )
    return counts, book, watched


def main() -> None:
    """`python -m tests.verifier.batch.audits OUT FOLDER…`: a batch that a test can kill."""
    out, *paths = sys.argv[1:]
    run([Task(HOW, path) for path in paths], Path(out))


if __name__ == "__main__":
    main()
