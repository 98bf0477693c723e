"""Sliding-window evaluation: overlapping windows, so that a token sees up to `seq_len - 1` before it.

Each window scores its last `stride` tokens, which are new; the tokens before them are only context. The
first window scores all of its tokens. Fixed weights: nothing learns. Source: #50; its tail, #124. Costs
`seq_len / stride` times a plain evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from pgolf.bytes import ByteCounter
from pgolf.evaluate.driver import evaluate
from pgolf.evaluate.method import Method, Where, head_at, hidden_fn
from pgolf.evaluate.score import Evaluation
from pgolf.evaluate.windows import Lane, Progress, Window, make_lane, plan_windows
from pgolf.model import GPT


class Sliding(Method):
    """Fixed weights. A stride of `seq_len` is plain evaluation."""

    def __init__(
        self, model: GPT, seq_len: int, stride: int, *, compiled: bool | None = None, name: str = "sliding"
    ) -> None:
        self.name = name
        self.model = model
        self.seq_len = seq_len
        self.stride = stride
        self.hidden = hidden_fn(model, compiled=compiled)

    @property
    def device(self) -> torch.device:
        return self.model.device

    def plan(self, predictions: int, starts: Sequence[int]) -> list[Lane]:
        return [make_lane([plan_windows(predictions, self.seq_len, self.stride)])]

    def logits(self, inputs_BT: Tensor, windows: Sequence[Window], where: Where) -> Tensor:
        return head_at(self.model, self.hidden(inputs_BT), where)


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
    sliding = Sliding(model, seq_len, stride, compiled=compiled, name=method)
    return evaluate(sliding, tokens, table, batch_windows=batch_windows, progress=progress)
