"""The next batch, read while the device computes on this one.

One thread, one batch ahead. The batches are those of the loader behind it, in the same order, and its
position is that of the batch handed out last, not of the one being read.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import torch

from pgolf.loader import Batch, Loader


class Ahead(NamedTuple):
    """The batch being read: what was asked for, where it starts, and the batch to come."""

    request: tuple[int, int, int]
    position: Any
    batch: Future[Batch]


class Prefetch:
    """A loader that reads one batch ahead of another loader, guessing that the next request is the same."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        # A new thread starts on device 0: without this, every rank would copy to the first GPU.
        device = torch.cuda.current_device() if torch.cuda.is_available() else None
        self._thread = ThreadPoolExecutor(1, initializer=_use_device, initargs=(device,))
        self._ahead: Ahead | None = None

    def next_batch(self, global_tokens: int, seq_len: int, grad_accum_steps: int = 1) -> Batch:
        """The loader's next batch; an error in reading it is raised here, as without the thread."""
        request = (global_tokens, seq_len, grad_accum_steps)
        if self._ahead is not None and self._ahead.request == request:
            batch = self._ahead.batch.result()
        else:
            self.restore(self.position())
            batch = self._loader.next_batch(*request)
        position = self._loader.position()
        self._ahead = Ahead(request, position, self._thread.submit(self._loader.next_batch, *request))
        return batch

    def position(self) -> Any:
        return self._loader.position() if self._ahead is None else self._ahead.position

    def restore(self, position: Any) -> None:
        if self._ahead is not None:
            self._ahead.batch.exception()  # waits; what it read ahead is not wanted any more
            self._ahead = None
        self._loader.restore(position)


def _use_device(index: int | None) -> None:
    if index is not None:
        torch.cuda.set_device(index)
