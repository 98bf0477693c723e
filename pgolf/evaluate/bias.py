"""Online logit bias: one offset per token of the vocabulary, learned from committed chunks.

After a chunk is scored, the bias takes a step down the gradient of that chunk's mean loss, which is the
mean of what was predicted minus the histogram of what came; later chunks are scored with it. The forward
pass already made the predictions, so learning costs a histogram. Legal in form as score-first learning is
(rule R-043); the contest's own version, #1399, was fitted on windows before scoring them was over, and
started from weights tuned on the stream. Source of the idea: ETLB, #1399.

Shapes: P positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pgolf.evaluate.method import Committed, Method, Where
from pgolf.evaluate.ttt import cut_chunks
from pgolf.evaluate.windows import Lane, Window, make_lane


@dataclass(frozen=True)
class BiasConfig:
    """How the bias learns."""

    chunk_tokens: int = 4096
    """Tokens scored between steps (rounded up to whole windows)."""
    lr: float = 1.0
    """A token predicted with p and seen with frequency f moves by lr * (f - p) per step."""

    def __post_init__(self) -> None:
        if self.chunk_tokens < 1:
            raise ValueError(f"chunk_tokens must be at least 1, got {self.chunk_tokens}")
        if self.lr < 0:
            raise ValueError(f"lr must not be negative, got {self.lr}")


class OnlineBias(Method):
    """A bias on the logits of a method with fixed weights."""

    def __init__(self, inner: Method, vocab_size: int, config: BiasConfig | None = None) -> None:
        self.name = f"{inner.name}+bias"
        self.inner = inner
        self.vocab_size = vocab_size
        self.config = config or BiasConfig()

    @property
    def device(self) -> torch.device:
        return self.inner.device

    def plan(self, predictions: int, starts: Sequence[int]) -> list[Lane]:
        """The inner plan in smaller chunks.

        Raises:
            ValueError: the inner method learns or has several lanes: its chunks must not be cut again.
        """
        lanes = self.inner.plan(predictions, starts)
        if len(lanes) != 1 or len(lanes[0]) != 1:
            raise ValueError(f"{self.inner.name} has chunks of its own; a bias can follow fixed weights only")
        return [make_lane(cut_chunks(list(lanes[0][0].windows), self.config.chunk_tokens))]

    def reset(self, slots: int) -> None:
        self.inner.reset(slots)
        self.bias_V = torch.zeros(self.vocab_size, device=self.device)
        self._predicted_V = torch.zeros(self.vocab_size, dtype=torch.float64, device=self.device)

    def logits(self, inputs_BT: Tensor, windows: Sequence[Window], where: Where) -> Tensor:
        logits_PV = self.inner.logits(inputs_BT, windows, where).float() + self.bias_V
        self._predicted_V += logits_PV.softmax(-1).sum(0, dtype=torch.float64)
        return logits_PV

    def learn(self, committed: Sequence[Committed]) -> None:
        [(_, chunk, tokens_N)] = committed
        seen_V = torch.bincount(tokens_N[chunk.start + 1 : chunk.end + 1], minlength=self.vocab_size)
        step_V = (seen_V - self._predicted_V) / (chunk.end - chunk.start)
        self.bias_V = self.bias_V + self.config.lr * step_V.float()
        self._predicted_V.zero_()
