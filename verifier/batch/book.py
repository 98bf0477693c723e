"""The results of a run on disk: `reports/NAME.json`, `index.jsonl` and `run.json`, whole after any kill.

A report is written under another name and renamed, and only then gets its line in the index. So a kill
leaves one of three things: a temporary file (deleted), a report without a line (adopted), or a torn last
line (cut off, and its report adopted). One process writes at a time; a lock file sees to that.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from verifier import __version__
from verifier.batch.line import Line, audited
from verifier.batch.task import Settings, Task
from verifier.report.json import ReportError, read_report
from verifier.report.store import write_whole

INDEX, REPORTS, RUN, LOCK = "index.jsonl", "reports", "run.json", ".lock"


class BatchError(Exception):
    """The output folder cannot be used. `facts` say what was found and what to do."""

    def __init__(self, what: str, **facts: str) -> None:
        super().__init__(what)
        self.facts = facts


@dataclass
class Book:
    """An open output folder. `lines` holds the last line of each key."""

    folder: Path
    lines: dict[str, Line] = field(default_factory=dict)

    @property
    def reports(self) -> Path:
        return self.folder / REPORTS

    @property
    def index(self) -> Path:
        return self.folder / INDEX

    def report_of(self, task: Task) -> Path:
        return self.reports / f"{task.name}.json"

    def add(self, line: Line) -> None:
        """Append one line, in one write that is on disk when this returns."""
        text = json.dumps(line.to_document(), ensure_ascii=False, allow_nan=False) + "\n"
        descriptor = os.open(self.index, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            data = text.encode("utf-8")
            if os.write(descriptor, data) != len(data):
                raise OSError(f"{self.index} took only part of a line")  # cut off when it is opened next
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.lines[line.key] = line

    def line_of_report(self, task: Task) -> Line | None:
        """The line for a report that is there already, or None where none is, or it is about other work."""
        path = self.report_of(task)
        try:
            data = path.read_bytes()
            report = read_report(data.decode("utf-8"))
        except (OSError, UnicodeDecodeError, ReportError):
            return None
        git, how = report.submission.git, task.settings
        same = (
            report.tool_version == __version__
            and report.rule_edition == how.rule_edition
            and report.run.level == how.level
            and (how.seed is None or report.run.seeds in ((), (how.seed,)))
            and (None if git is None else git.sha) == task.sha
            and (report.submission.path == task.path if git is None else task.folder in (None, git.folder))
        )
        return audited(task, report, data, f"{REPORTS}/{path.name}") if same else None

    def adopt(self, tasks: Iterable[Task]) -> int:
        """Give each finished report its missing line; how many there were."""
        adopted = 0
        for task in tasks:
            if task.key not in self.lines and (line := self.line_of_report(task)) is not None:
                self.add(line)
                adopted += 1
        return adopted


@contextmanager
def open_book(folder: Path, how: Settings) -> Iterator[Book]:
    """Open an output folder for writing. Raises BatchError when it belongs to another run, or to a live one."""
    try:
        (folder / REPORTS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BatchError(f"--out {folder} cannot be made", found=str(error.strerror)) from None
    with open(folder / LOCK, "a+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BatchError(
                f"another batch is writing to {folder}", next="wait for it, or stop it"
            ) from None
        _check_run(folder, how)
        for left in (folder / REPORTS).glob(".*.json.*"):  # written by a process that was killed
            left.unlink(missing_ok=True)
        _repair(folder / INDEX)
        lines = read_index(folder / INDEX) if (folder / INDEX).exists() else ()
        yield Book(folder, latest(lines))


def index_at(place: Path) -> Path:
    """The index that a user means by its file or by the batch's folder."""
    return place / INDEX if place.is_dir() else place


def latest(lines: Iterable[Line]) -> dict[str, Line]:
    """By key. A submission that ran again has a later line, which is the one that counts."""
    return {line.key: line for line in lines}


def read_index(path: Path) -> tuple[Line, ...]:
    """Every whole line, in order; a torn last one is left out. Raises BatchError for a line that is none."""
    try:
        rows = path.read_bytes().split(b"\n")
    except OSError as error:
        raise BatchError(f"{path} cannot be read", found=str(error.strerror)) from None
    lines: list[Line] = []
    for number, row in enumerate(rows[:-1], 1):
        try:
            lines.append(Line.from_document(json.loads(row)))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BatchError(
                f"{path}:{number} is not a line of an index",
                found=f"{type(error).__name__}: {error}",
                next="delete that line: its report is adopted when the batch runs again",
            ) from None
    return tuple(lines)


def _repair(path: Path) -> None:
    """Cut off what a kill left of a last line that was not finished."""
    if not path.exists():
        return
    with open(path, "r+b") as file:
        data = file.read()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            file.truncate(whole)
            os.fsync(file.fileno())


def _check_run(folder: Path, how: Settings) -> None:
    """Refuse to add results of other settings to a folder; write down the settings of a new one."""
    path = folder / RUN
    wanted = asdict(how)
    if not path.exists():
        write_whole(path, json.dumps(wanted, indent=2) + "\n")
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        differ = [name for name in wanted if found.get(name) != wanted[name]]
    except (OSError, ValueError, AttributeError):
        raise BatchError(f"{path} cannot be read", next="use another --out DIR") from None
    if differ:
        raise BatchError(
            f"{folder} holds results of other settings",
            found=", ".join(f"{name} {found.get(name)}" for name in differ),
            expected=", ".join(f"{name} {wanted[name]}" for name in differ),
            next="use another --out DIR: results of different settings are not mixed",
        )
