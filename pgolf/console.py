"""What the commands show: progress that suits a terminal or a log file, and errors in one line."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pgolf.corpus import CorpusError
from pgolf.distributed import RankFailed
from pgolf.train import TrainingDiverged

PLAIN_SECONDS = 10.0  # between progress lines where there is no terminal
USAGE_ERROR = 2
EXPECTED = (ValueError, OSError, CorpusError, RankFailed, TrainingDiverged)
"""What bad input raises. Anything else is a bug, and keeps its traceback."""

P = ParamSpec("P")
console = Console(soft_wrap=True, highlight=False)


def say(line: str) -> None:
    """One plain line; brackets in it are not markup."""
    console.print(line, markup=False)


def one_line_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Turn bad input into one line on stderr and exit code 2."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except EXPECTED as error:
            message = " ".join(str(error).split()) or type(error).__name__
            typer.echo(f"error: {message}", err=True)
            raise typer.Exit(USAGE_ERROR) from None

    return run


@contextmanager
def progress(label: str, *, plain: bool = True) -> Iterator[Callable[[float, float], None]]:
    """Yields a function of (done, total): a bar on a terminal, else a line now and then.

    `plain=False` shows nothing without a terminal, for work that logs its own lines.
    """
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bars:
            task = bars.add_task(label, total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)
        return
    shown = time.monotonic()

    def line(done: float, total: float) -> None:
        nonlocal shown
        if plain and time.monotonic() - shown >= PLAIN_SECONDS:
            shown = time.monotonic()
            say(f"{label}: {100 * done / total:.0f}% ({done:,.0f} of {total:,.0f})")

    yield line


def as_json(value: Any) -> None:
    """JSON alone on stdout, for other programs."""
    typer.echo(json.dumps(value, indent=2))
