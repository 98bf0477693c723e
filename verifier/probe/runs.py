"""The sandboxed runs of one audit, side by side: how many are to come, and one end for all of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import ParamSpec, TypeVar

from verifier.stage import Progress, Stage

AT_ONCE = 2

P = ParamSpec("P")
T = TypeVar("T")


class Runs(ThreadPoolExecutor):
    """A pool of threads that wait for a run each. Left by an exception, it stops the runs and drops the rest."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(max_workers=min(AT_ONCE, os.cpu_count() or 1))
        self.stop = Event()
        """Set when the audit breaks off: each run under way then ends at once."""
        self._progress = progress
        self._planned: list[Future[object]] = []

    def submit(self, run: Callable[P, T], /, *args: P.args, **named: P.kwargs) -> Future[T]:
        future = super().submit(run, *args, **named)
        self._planned.append(future)  # type: ignore[arg-type]  # only asked whether it is done
        return future

    def tell(self, text: str, over: int = 0) -> None:
        """Say what begins, or, with `over`, that a run of this thread ended."""
        self._progress(Stage(text, sum(not each.done() for each in self._planned) - over))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.stop.set()
            self.shutdown(cancel_futures=True)
        super().__exit__(kind, error, trace)
