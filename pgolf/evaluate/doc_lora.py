"""Per-document LoRA: adapt small matrices within each document, score before update, forget at its end.

A document is a lane: chunks of it are scored left to right, and after each chunk its own adapters take a
step on that chunk. Documents share nothing, so any number run as rows of one batch, in stream order, a row
taking the next document when its own is over (rule R-034; no sorting by length, so the stream's order is
kept, R-036). Context does not cross a document's start. Sources: #77 and #1530. Costs about
`seq_len / chunk_tokens` forwards and as many backwards per token; not compiled.

Shapes: B rows, T positions, P scored positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pgolf.evaluate.driver import IDLE, window_inputs
from pgolf.evaluate.lora import RowLoRA
from pgolf.evaluate.method import Committed, Method, Where, head_at
from pgolf.evaluate.windows import Lane, Window, make_lane
from pgolf.model import GPT


@dataclass(frozen=True)
class DocLoRAConfig:
    """The adapters and how they learn; the defaults are #77's, without its adapter on the head."""

    chunk_tokens: int = 256
    rank: int = 8
    scale: float = 1.0
    lr: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.95
    steps: int = 1
    """Gradient steps on each committed chunk."""
    targets: tuple[str, ...] = ("query", "value")
    """Names of the blocks' linear maps that are adapted."""
    documents: int = 64
    """How many run at once."""

    def __post_init__(self) -> None:
        for name in ("chunk_tokens", "rank", "steps", "documents"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("lr", "scale"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")


class DocLoRA(Method):
    """One set of adapters per running document; the model's own weights stay."""

    def __init__(self, model: GPT, seq_len: int, bos_id: int | None, config: DocLoRAConfig) -> None:
        if config.chunk_tokens > seq_len:
            raise ValueError(f"chunk_tokens {config.chunk_tokens} must fit into the window of {seq_len}")
        self.name = "doc-lora"
        self.model = model
        self.seq_len = seq_len
        self.bos_id = bos_id
        self.config = config
        self.slots = config.documents

    @property
    def device(self) -> torch.device:
        return self.model.device

    def plan(self, predictions: int, starts: Sequence[int]) -> list[Lane]:
        return [
            make_lane([window] for window in self._windows(start, end))
            for start, end in zip(starts, (*starts[1:], predictions), strict=True)
        ]

    def _windows(self, start: int, end: int) -> list[Window]:
        """Chunks of a document with what fits before them; a window's start does not know the end."""
        size = self.config.chunk_tokens
        return [
            Window(max(start, first + size - self.seq_len), min(first + size, end), first)
            for first in range(start, end, size)
        ]

    def reset(self, slots: int) -> None:
        config = self.config
        self.lora = RowLoRA(
            self.model, slots, config.rank, config.scale, config.targets, (config.beta1, config.beta2)
        )

    def begin(self, rows: Sequence[int]) -> None:
        self.lora.restart(rows)

    def logits(self, inputs_BT: Tensor, windows: Sequence[Window], where: Where) -> Tensor:
        with self.lora.attached():
            return head_at(self.model, self.model.hidden_states(inputs_BT), where)

    @torch.enable_grad()
    def learn(self, committed: Sequence[Committed]) -> None:
        rows = [row for row, _, _ in committed]
        windows = [IDLE] * len(self.lora.steps_B)
        for row, chunk, _ in committed:
            [windows[row]] = chunk.windows
        # The longest prefix holds all others; no window reaches past its own row's committed end.
        tokens_N = max((tokens_N for _, _, tokens_N in committed), key=len)
        inputs_BT = window_inputs(tokens_N, windows)
        where, position_P, share_P = self._scored(windows)
        for _ in range(self.config.steps):
            with self.lora.attached():
                logits_PV = head_at(self.model, self.model.hidden_states(inputs_BT), where)
            nats_P = F.cross_entropy(logits_PV, tokens_N[position_P + 1], reduction="none")
            # A sum over rows of each row's mean, so a row's gradient is that of its document alone.
            gradients = torch.autograd.grad((nats_P * share_P).sum(), self.lora.weights)
            self.lora.step(gradients, rows, self.config.lr)

    def _scored(self, windows: Sequence[Window]) -> tuple[Where, Tensor, Tensor]:
        """What the windows score: where in the batch, where in the stream, and one over how many."""
        rows: list[int] = []
        positions: list[int] = []
        shares: list[float] = []
        for row, window in enumerate(windows):
            span = range(window.score_from, window.end)
            rows += [row] * len(span)
            positions += span
            shares += [1 / len(span)] * len(span) if span else []
        row_P = torch.tensor(rows, device=self.device)
        position_P = torch.tensor(positions, device=self.device)
        start_B = torch.tensor([window.start for window in windows], device=self.device)
        where = Where(row_P, position_P - start_B[row_P])
        return where, position_P, torch.tensor(shares, device=self.device)
