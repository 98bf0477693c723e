"""Which window scores which token: decided from lengths alone, before any token is read.

A window is a span of inputs; it scores a suffix of its positions, and each position of the stream is in
exactly one such suffix, the tail included. All windows have the same length, so that a short tail gets the
context that every other token gets. Rules R-066 and R-067.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgolf.runtime import LossFn

Progress = Callable[[int, int], None]
"""Called with (tokens scored so far, tokens in all)."""


@dataclass(frozen=True)
class Window:
    """Inputs `tokens[start:end]`; scores positions `score_from..end-1`, whose targets are one later.

    A window whose `score_from` is its end scores nothing and only warms a state up.
    """

    start: int
    end: int
    score_from: int


@dataclass(frozen=True)
class Chunk:
    """Windows that are all scored before anything learns from any of them."""

    windows: tuple[Window, ...]
    index: int = 0
    count: int = 1
    """Chunks in the lane. Of a lane that is a document, nothing but scheduling may depend on it."""

    @property
    def start(self) -> int:
        """First scored position."""
        return self.windows[0].score_from

    @property
    def end(self) -> int:
        """One past the last scored position; the chunk's last target is `tokens[end]`."""
        return self.windows[-1].end


Lane = list[Chunk]
"""Chunks scored one after the other. Lanes know nothing of each other, so any number may run at once."""


def make_lane(groups: Iterable[Sequence[Window]]) -> Lane:
    """A lane of one chunk for each group of windows."""
    listed = list(groups)
    return [Chunk(tuple(windows), index, len(listed)) for index, windows in enumerate(listed)]


def check_coverage(lanes: Iterable[Lane], predictions: int) -> None:
    """ValueError unless the lanes' windows score positions 0..predictions-1 once each, in stream order."""
    done = 0
    for window in (window for lane in lanes for chunk in lane for window in chunk.windows):
        if window.score_from == window.end:
            continue
        if not window.start <= window.score_from == done <= window.end <= predictions:
            raise ValueError(
                f"{window} follows position {done - 1} of {predictions}; "
                "each position must be scored once, in order (rule C4)"
            )
        done = window.end
    if done != predictions:
        raise ValueError(f"the windows end at position {done} of {predictions}; none may be left out (R-066)")


def plan_windows(predictions: int, seq_len: int, stride: int) -> list[Window]:
    """Windows of `seq_len` that end `stride` apart and together score `predictions` positions once each.

    `stride == seq_len` is adjacent windows. The last window ends at the stream's end.

    Raises:
        ValueError: nothing to predict, or a stride outside 1..seq_len.
    """
    if predictions < 1:
        raise ValueError(f"{predictions + 1} tokens leave nothing to predict; at least 2 are needed")
    if not 1 <= stride <= seq_len:
        raise ValueError(f"stride {stride} must be between 1 and the window length {seq_len}")
    windows = [Window(0, min(seq_len, predictions), 0)]
    while (scored := windows[-1].end) < predictions:
        end = min(scored + stride, predictions)
        windows.append(Window(end - seq_len, end, scored))
    return windows


@dataclass(frozen=True)
class Stream:
    """Tokens on a device, all of them open to their holder: a whole stream, or its committed part."""

    tokens_N: Tensor

    def spans(self, starts: Sequence[int], length: int) -> tuple[Tensor, Tensor]:
        """(inputs_BT, targets_BT) of spans of one length."""
        index_BT = torch.tensor(starts, device=self.tokens_N.device)[:, None] + torch.arange(
            length, device=self.tokens_N.device
        )
        return self.tokens_N[index_BT], self.tokens_N[index_BT + 1]


class StreamScorer:
    """Holds a stream on a device and the losses found so far; refuses to score a position twice.

    For scorers that take the stream in their own hands; a `Method` needs none.
    """

    def __init__(self, tokens: NDArray[Any], device: torch.device, progress: Progress | None = None) -> None:
        self.stream = Stream(torch.from_numpy(np.asarray(tokens).astype(np.int64)).to(device))
        self.nats_N = np.full(len(tokens) - 1, np.nan, dtype=np.float32)
        self._progress = progress
        self._done = 0

    def spans(self, starts: Sequence[int], length: int) -> tuple[Tensor, Tensor]:
        """(inputs_BT, targets_BT) of spans of one length."""
        return self.stream.spans(starts, length)

    @torch.no_grad()
    def score(self, loss: LossFn, windows: Iterable[Window], batch_windows: int) -> None:
        """Score windows of one length, `batch_windows` at a time, and keep the losses they own.

        The last batch is filled up with repeats whose losses are dropped, so that a compiled model sees
        one shape only.
        """
        windows = list(windows)
        for first in range(0, len(windows), batch_windows):
            batch = windows[first : first + batch_windows]
            fill = min(batch_windows, len(windows)) - len(batch)
            starts = [window.start for window in batch] + [batch[-1].start] * fill
            inputs_BT, targets_BT = self.spans(starts, batch[0].end - batch[0].start)
            nats_BT = loss(inputs_BT, targets_BT, "none").float().cpu().numpy()
            for row, window in enumerate(batch):
                self._keep(window, nats_BT[row])

    def _keep(self, window: Window, nats_T: NDArray[np.float32]) -> None:
        owned = self.nats_N[window.score_from : window.end]
        if not np.isnan(owned).all():
            raise ValueError(
                f"positions {window.score_from} to {window.end - 1} were scored before (rule C4)"
            )
        owned[:] = nats_T[window.score_from - window.start :]
        self._done += len(owned)
        if self._progress is not None:
            self._progress(self._done, len(self.nats_N))
