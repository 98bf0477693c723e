"""Run what is not done yet, and keep the book. Knows nothing of terminals: a watcher is told what happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

from verifier.batch.book import REPORTS, Book
from verifier.batch.line import Line, unaudited
from verifier.batch.local import Executor
from verifier.batch.task import Task, unique


class Watcher(Protocol):
    """Told what happens during a run."""

    def begins(self, tasks: int, done: Sequence[Line]) -> None:
        """`done` are the lines that earlier runs left, and reports that were adopted."""

    def starts(self, task: Task) -> None: ...

    def ends(self, line: Line) -> None: ...


@dataclass
class Counts:
    """How a run stands."""

    tasks: int = 0
    done: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    """Of the submissions that were audited."""
    not_audited: Counter[str] = field(default_factory=Counter)
    """By status: `nothing`, `failed`, `killed`."""

    def add(self, line: Line) -> None:
        self.done += 1
        if line.status == "audited":
            self.verdicts[line.verdict] += 1
        else:
            self.not_audited[line.status] += 1

    @property
    def broken(self) -> int:
        """Submissions that should have been audited and were not."""
        return self.not_audited["failed"] + self.not_audited["killed"]


def run_batch(
    tasks: Iterable[Task],
    book: Book,
    executor: Callable[[], Executor],
    watcher: Watcher,
    *,
    retry: bool = False,
) -> Counts:
    """Audit each task that the book has no line of. `retry` takes up those that could not be audited.

    The executor is made only when there is something to do. KeyboardInterrupt passes through: everything
    that had ended by then is in the book.
    """
    wanted = unique(tasks)
    if retry:
        for task in wanted:
            line = book.lines.get(task.key)
            if line is not None and line.status in ("failed", "killed"):
                del book.lines[task.key]
    book.adopt(wanted)
    done = [book.lines[task.key] for task in wanted if task.key in book.lines]
    todo = [task for task in wanted if task.key not in book.lines]
    counts = Counts(tasks=len(wanted))
    for line in done:
        counts.add(line)
    watcher.begins(len(wanted), done)
    if not todo:
        return counts
    with closing(executor().run(todo, book.report_of, watcher.starts)) as outcomes:
        for outcome in outcomes:
            written = book.line_of_report(outcome.task) if outcome.status == "audited" else None
            if written is not None:
                line = written
            else:
                failure = outcome.failure or f"the report in {REPORTS} is not about this submission"
                status = "failed" if outcome.status == "audited" else outcome.status
                line = unaudited(outcome.task, status, failure, outcome.seconds)
            book.add(line)
            counts.add(line)
            watcher.ends(line)
    return counts
