"""What happens while an audit runs: one rewritten line on a terminal, and nothing elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from verifier.report.wording import clean
from verifier.stage import Progress, Stage, unheard

Clock = Callable[[], float]


class TimeLeft:
    """How long the runs may still take: never over the limit, and a guess once a run has shown its pace."""

    def __init__(self, limit_seconds: float | None, clock: Clock = time.monotonic) -> None:
        self._limit_seconds = limit_seconds
        self._clock = clock
        self._to_come: int | None = None
        """None outside of the runs: each audit's runs have a limit and a pace of their own."""
        self._began = 0.0
        self._over = 0
        self._last_over = 0.0

    def note(self, stage: Stage) -> None:
        """Learn the pace from how the count of runs falls."""
        now, before = self._clock(), self._to_come
        self._to_come = stage.to_come
        if stage.to_come is None or before is None:
            self._began, self._over = now, 0
        elif stage.to_come < before:
            self._over += before - stage.to_come
            self._last_over = now

    def words(self) -> str:
        """`about 1:05 left`, `at most 2:20 left` while nothing has ended, or nothing where nothing is known."""
        if self._to_come is None or self._limit_seconds is None:
            return ""
        now = self._clock()
        at_most = max(self._began + self._limit_seconds - now, 0.0)
        if self._over and self._to_come:
            pace = (self._last_over - self._began) / self._over
            guess = pace * self._to_come - (now - self._last_over)
            if 0.0 < guess < at_most:
                return f"about {minutes(guess)} left"
        return f"at most {minutes(at_most)} left"


def minutes(seconds: float) -> str:
    """`1:05`"""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


@contextmanager
def shown_progress(
    console: Console, quiet: bool = False, limit_seconds: float | None = None
) -> Iterator[Progress]:
    """A function to call with each stage as it begins. `limit_seconds` bounds all the runs together."""
    if quiet or not console.is_interactive:
        yield unheard
        return
    left = TimeLeft(limit_seconds)
    stage_column = TextColumn(
        "{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
    )
    with Bar(
        SpinnerColumn(), stage_column, _Times(left), console=console, transient=True, expand=True
    ) as bar:
        task = bar.add_task("starting", total=None)

        def show(stage: Stage) -> None:
            left.note(stage)
            bar.update(task, description=clean(stage.text))

        yield show


class _Times(ProgressColumn):
    """Time so far, and time left where something is known of it."""

    def __init__(self, left: TimeLeft) -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._left = left

    def render(self, task: Task) -> Text:
        parts = [minutes(task.elapsed or 0.0), self._left.words()]
        return Text(" · ".join(part for part in parts if part), "dim")
