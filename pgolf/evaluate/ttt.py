"""Score-first test-time training: score a chunk with frozen weights, then train on it, then the next.

Legal by its order (rules C3 and R-030): a loss is fixed before any weight has seen its token, and is never
touched again. A chunk's tokens are trained on only after the whole chunk is scored; the last chunk is not
trained on, as nothing would be scored with the result. The caller's model is not changed.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from numpy.typing import NDArray

from pgolf.bytes import ByteCounter
from pgolf.evaluate.score import Evaluation, score_stream
from pgolf.evaluate.windows import Progress, StreamScorer, Window, plan_windows
from pgolf.model import GPT
from pgolf.runtime import LossFn, loss_fn


@dataclass(frozen=True)
class TTTConfig:
    """How to adapt between chunks; the defaults follow the contest's first merged score-first TTT (#549)."""

    chunk_tokens: int = 32_768
    """Tokens scored before each adaptation (rounded up to whole windows)."""
    epochs: int = 3
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.002
    """Peak rate; falls to zero over the chunks as half a cosine."""
    momentum: float = 0.9
    """SGD only."""
    weight_decay: float = 0.0
    grad_clip_norm: float = 1.0
    """0 is no clipping."""
    batch_seqs: int = 32

    def __post_init__(self) -> None:
        for name in ("chunk_tokens", "epochs", "batch_seqs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("lr", "weight_decay", "grad_clip_norm"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")
        if self.optimizer not in ("sgd", "adamw"):
            raise ValueError(f"optimizer must be sgd or adamw, got {self.optimizer!r}")


def evaluate_ttt(
    model: GPT,
    tokens: NDArray[Any],
    table: ByteCounter,
    *,
    seq_len: int,
    stride: int,
    config: TTTConfig,
    batch_windows: int = 32,
    compiled: bool | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score tokens 1..N of a stream of N + 1 tokens with a copy of `model` that learns as it goes.

    Raises:
        ValueError: a stride outside 1..seq_len, or a stream or loss that cannot be scored.
    """
    started = time.perf_counter()
    windows = plan_windows(len(tokens) - 1, seq_len, stride)
    adapted = copy.deepcopy(model)
    loss = loss_fn(adapted, compiled=compiled)
    scorer = StreamScorer(tokens, model.device, progress)
    optimizer = make_optimizer(adapted, config)
    chunks = list(cut_chunks(windows, config.chunk_tokens))
    for index, chunk in enumerate(chunks):
        scorer.score(loss, chunk, batch_windows)
        if index + 1 == len(chunks):
            break
        for group in optimizer.param_groups:
            group["lr"] = config.lr * 0.5 * (1 + math.cos(math.pi * index / len(chunks)))
        adapt(adapted, loss, scorer, optimizer, chunk[0].score_from, chunk[-1].end, seq_len, config)
    score = score_stream(scorer.nats_N, tokens, table)
    return Evaluation(score, scorer.nats_N, "ttt", time.perf_counter() - started)


def cut_chunks(windows: list[Window], chunk_tokens: int) -> Iterator[list[Window]]:
    """Consecutive windows that score at least `chunk_tokens` together (the last chunk may score fewer)."""
    chunk: list[Window] = []
    for window in windows:
        chunk.append(window)
        if window.end - chunk[0].score_from >= chunk_tokens:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def make_optimizer(model: GPT, config: TTTConfig) -> torch.optim.Optimizer:
    """The optimizer over every parameter of the model."""
    parameters = [parameter for parameter in model.parameters() if parameter.numel()]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)
    return torch.optim.SGD(
        parameters, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
    )


def adapt(
    model: GPT,
    loss: LossFn,
    stream: StreamScorer,
    optimizer: torch.optim.Optimizer,
    start: int,
    end: int,
    seq_len: int,
    config: TTTConfig,
) -> None:
    """Train on the predictions `start..end-1` of the stream, in adjacent sequences, oldest first.

    A remainder shorter than `seq_len` is left out, unless the span is that short itself.
    """
    length = min(seq_len, end - start)
    starts = range(start, end - length + 1, length)
    for _ in range(config.epochs):
        for first in range(0, len(starts), config.batch_seqs):
            inputs_BT, targets_BT = stream.spans(starts[first : first + config.batch_seqs], length)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss(inputs_BT, targets_BT))
            if config.grad_clip_norm > 0:
                torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip_norm)
            optimizer.step()
