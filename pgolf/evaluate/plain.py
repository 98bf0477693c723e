"""Plain evaluation: adjacent windows, the cheapest score; what training logs between steps.

The contest's script drops the remainder of the stream modulo the window (tolerated there); here the last
window ends at the stream's end and scores what is left.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from pgolf.bytes import ByteCounter
from pgolf.evaluate.score import Evaluation
from pgolf.evaluate.sliding import evaluate_sliding
from pgolf.evaluate.windows import Progress
from pgolf.model import GPT


def evaluate_plain(
    model: GPT,
    tokens: NDArray[Any],
    table: ByteCounter,
    *,
    seq_len: int,
    batch_windows: int = 32,
    compiled: bool | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score tokens 1..N of a stream of N + 1 tokens: a sliding window whose stride is its length."""
    return evaluate_sliding(
        model,
        tokens,
        table,
        seq_len=seq_len,
        stride=seq_len,
        batch_windows=batch_windows,
        compiled=compiled,
        progress=progress,
        method="plain",
    )
