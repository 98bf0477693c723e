"""What happens while an audit runs: one rewritten line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from verifier.report.wording import clean


@contextmanager
def shown_progress(console: Console, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """A function to call with each stage as it begins."""
    if quiet:
        yield lambda stage: None
    elif console.is_terminal:
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("starting", total=None)
            yield lambda stage: bar.update(task, description=clean(stage))
    else:
        started = time.monotonic()

        def line(stage: str) -> None:
            console.print(
                f"{time.monotonic() - started:6.1f} s  {clean(stage)}", markup=False, highlight=False
            )

        yield line
