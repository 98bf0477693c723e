"""Sliding-window evaluation: overlapping windows, so that a token sees up to `seq_len - 1` before it.

Each window scores its last `stride` tokens, which are new; the tokens before them are only context. The
first window scores all of its tokens. Fixed weights: nothing learns.
"""

from __future__ import annotations

import time
from typing import Any

from numpy.typing import NDArray

from pgolf.bytes import ByteCounter
from pgolf.evaluate.score import Evaluation, score_stream
from pgolf.evaluate.windows import Progress, StreamScorer, plan_windows
from pgolf.model import GPT
from pgolf.runtime import loss_fn


def evaluate_sliding(
    model: GPT,
    tokens: NDArray[Any],
    table: ByteCounter,
    *,
    seq_len: int,
    stride: int,
    batch_windows: int = 32,
    compiled: bool | None = None,
    progress: Progress | None = None,
    method: str = "sliding",
) -> Evaluation:
    """Score tokens 1..N of a stream of N + 1 tokens on the model's own device.

    Raises:
        ValueError: a stride outside 1..seq_len, or a stream or loss that cannot be scored.
    """
    started = time.perf_counter()
    windows = plan_windows(len(tokens) - 1, seq_len, stride)
    scorer = StreamScorer(tokens, model.device, progress)
    scorer.score(loss_fn(model, compiled=compiled), windows, batch_windows)
    score = score_stream(scorer.nats_N, tokens, table)
    return Evaluation(score, scorer.nats_N, method, time.perf_counter() - started)
