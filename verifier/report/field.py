"""A batch on a terminal: a bar with the counts of verdicts while it runs, and the counts at its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from verifier.batch.line import Line
from verifier.batch.run import Counts, Watcher
from verifier.batch.task import Task
from verifier.report.terminal import CALL_STYLE
from verifier.report.wording import clean
from verifier.verdict import Call

SHORT = {Call.COMPLIANT: "ok", Call.NON_COMPLIANT: "non-compliant", Call.NEEDS_REVIEW: "review"}
RUNNING_SHOWN = 4
REASON_CHARS = 100


@contextmanager
def shown_batch(console: Console, quiet: bool = False) -> Iterator[Watcher]:
    """A watcher for `run_batch` that shows what it is told."""
    if quiet:
        yield _Silent()
    elif console.is_terminal:
        columns = (
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            yield _Bar(progress)
    else:
        yield _Lines(console)


def print_counts(counts: Counts, index: str, console: Console) -> None:
    """What the run came to."""
    for call in Call:
        console.print(Text(f"{counts.verdicts[call]:6,d}  ").append(str(call), CALL_STYLE[call]))
    words = {
        "nothing": "hold no submission",
        "failed": "could not be audited",
        "killed": "overran and were killed",
    }
    for status, text in words.items():
        if counts.not_audited[status]:
            console.print(Text(f"{counts.not_audited[status]:6,d}  {text}"))
    console.print(Text(f"index   {clean(index)}"), soft_wrap=True)
    if counts.broken:
        console.print(Text("next    the index says why; --retry runs them again"))


class _Silent:
    def begins(self, tasks: int, done: Sequence[Line]) -> None: ...

    def starts(self, task: Task) -> None: ...

    def ends(self, line: Line) -> None: ...


class _Bar:
    """One rewritten line: done, verdicts, and what is running."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.counts = Counts()
        self.running: dict[str, str] = {}
        self.bar: TaskID | None = None

    def begins(self, tasks: int, done: Sequence[Line]) -> None:
        for line in done:
            self.counts.add(line)
        self.bar = self.progress.add_task(self.words(), total=tasks, completed=len(done))

    def starts(self, task: Task) -> None:
        self.running[task.key] = task.name if task.pr is None else f"#{task.pr}"
        self.show()

    def ends(self, line: Line) -> None:
        self.running.pop(line.key, None)
        self.counts.add(line)
        self.show(1)

    def show(self, advance: int = 0) -> None:
        if self.bar is not None:
            self.progress.update(self.bar, advance=advance, description=self.words())

    def words(self) -> str:
        parts = [f"{self.counts.verdicts[call]} {SHORT[call]}" for call in Call]
        if skipped := self.counts.not_audited.total():
            parts.append(f"{skipped} not audited")
        names = list(self.running.values())
        more = f" +{len(names) - RUNNING_SHOWN}" if len(names) > RUNNING_SHOWN else ""
        return " · ".join(parts) + (f" · running {' '.join(names[:RUNNING_SHOWN])}{more}" if names else "")


class _Lines:
    """Elsewhere than on a terminal: one line for each submission as it ends."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.total = self.done = 0

    def begins(self, tasks: int, done: Sequence[Line]) -> None:
        self.total, self.done = tasks, len(done)
        if done:
            self.print(f"{len(done)} of {tasks} were done before")

    def starts(self, task: Task) -> None: ...

    def ends(self, line: Line) -> None:
        self.done += 1
        what = line.verdict if line.status == "audited" else f"{line.status}: {line.reason[:REASON_CHARS]}"
        self.print(f"{self.done}/{self.total}  {line.name}  {what}  {line.seconds:.1f} s")

    def print(self, text: str) -> None:
        self.console.print(Text(clean(text)), soft_wrap=True)
