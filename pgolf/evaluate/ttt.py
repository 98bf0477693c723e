"""Score-first test-time training: score a chunk with frozen weights, then train on it, then the next.

Legal by its order (rules C3 and R-030): a loss is fixed before any weight has seen its token, and is never
touched again. A chunk's tokens are trained on only after the whole chunk is scored; the last chunk is not
trained on, as nothing would be scored with the result. The caller's model is not changed. Sources: #549
(chunks, SGD, cosine), #1413 (frozen blocks), #1610 and #1626 (phases: few boundaries, far apart). Costs a
sliding evaluation and `epochs` passes of training, three times a forward each.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

from pgolf.bytes import ByteCounter
from pgolf.evaluate.driver import evaluate
from pgolf.evaluate.method import Committed, Method, Where, head_at, hidden_fn
from pgolf.evaluate.score import Evaluation
from pgolf.evaluate.windows import Lane, Progress, Stream, Window, make_lane, plan_windows
from pgolf.model import GPT
from pgolf.runtime import LossFn, loss_fn


class Spans(Protocol):
    """Where training sequences come from: a `Stream`, or a scorer that holds one."""

    def spans(self, starts: Sequence[int], length: int) -> tuple[Tensor, Tensor]: ...


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
    frozen_blocks: int = 0
    """The first so many blocks do not learn."""
    phases: tuple[float, ...] = ()
    """Shares of the stream after which to adapt, on what was scored since the last time; replaces
    `chunk_tokens` where given."""

    def __post_init__(self) -> None:
        for name in ("chunk_tokens", "epochs", "batch_seqs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("lr", "weight_decay", "grad_clip_norm", "frozen_blocks"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")
        if self.optimizer not in ("sgd", "adamw"):
            raise ValueError(f"optimizer must be sgd or adamw, got {self.optimizer!r}")
        if any(b <= a for a, b in pairwise((0, *self.phases, 1))):
            raise ValueError(f"phases must rise between 0 and 1, got {self.phases}")


class ScoreFirstTTT(Method):
    """A copy of `model` that learns from each chunk once the whole chunk is scored."""

    def __init__(
        self, model: GPT, seq_len: int, stride: int, config: TTTConfig, *, compiled: bool | None = None
    ) -> None:
        if config.frozen_blocks > len(model.blocks):
            raise ValueError(
                f"frozen_blocks {config.frozen_blocks} is more than the model's {len(model.blocks)} blocks"
            )
        self.name = "ttt"
        self.base = model
        self.seq_len = seq_len
        self.stride = stride
        self.config = config
        self.compiled = compiled

    @property
    def device(self) -> torch.device:
        return self.base.device

    def plan(self, predictions: int, starts: Sequence[int]) -> list[Lane]:
        windows = plan_windows(predictions, self.seq_len, self.stride)
        if self.config.phases:
            return [make_lane(cut_phases(windows, self.config.phases))]
        return [make_lane(cut_chunks(windows, self.config.chunk_tokens))]

    def reset(self, slots: int) -> None:
        self.model = copy.deepcopy(self.base).requires_grad_(True)
        for block in self.model.blocks[: self.config.frozen_blocks]:
            block.requires_grad_(False)
        self.hidden = hidden_fn(self.model, compiled=self.compiled)
        self.loss = loss_fn(self.model, compiled=self.compiled)
        self.optimizer = make_optimizer(self.model, self.config)

    def logits(self, inputs_BT: Tensor, windows: Sequence[Window], where: Where) -> Tensor:
        return head_at(self.model, self.hidden(inputs_BT), where)

    @torch.enable_grad()
    def learn(self, committed: Sequence[Committed]) -> None:
        [(_, chunk, tokens_N)] = committed
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr * 0.5 * (1 + math.cos(math.pi * chunk.index / chunk.count))
        past = Stream(tokens_N)
        adapt(self.model, self.loss, past, self.optimizer, chunk.start, chunk.end, self.seq_len, self.config)


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
        ValueError: a stride outside 1..seq_len, more frozen blocks than blocks, or a stream or loss that
            cannot be scored.
    """
    ttt = ScoreFirstTTT(model, seq_len, stride, config, compiled=compiled)
    return evaluate(ttt, tokens, table, batch_windows=batch_windows, progress=progress)


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


def cut_phases(windows: list[Window], phases: Sequence[float]) -> Iterator[list[Window]]:
    """Consecutive windows up to each share of the stream (rounded up to whole windows), then the rest."""
    first = 0
    for phase in (*phases, 1):
        scored = phase * windows[-1].end
        last = next(index for index, window in enumerate(windows) if window.end >= scored)
        if last >= first:
            yield windows[first : last + 1]
            first = last + 1


def make_optimizer(model: GPT, config: TTTConfig) -> torch.optim.Optimizer:
    """The optimizer over every parameter of the model that is not frozen."""
    parameters = [p for p in model.parameters() if p.numel() and p.requires_grad]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)
    return torch.optim.SGD(
        parameters, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
    )


def adapt(
    model: GPT,
    loss: LossFn,
    stream: Spans,
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
