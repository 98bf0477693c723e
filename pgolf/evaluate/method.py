"""What an evaluation method is: which windows it reads, how it predicts, when it learns.

A method never holds the stream. It plans from lengths, it predicts from the inputs it is handed, and it
learns from tokens whose losses are already fixed. Two drivers run the same method: `driver.evaluate` in
batches over a known stream, and `predictor.Stepwise` token by token from the past alone. That both give
the same losses is the proof that the first cannot see ahead (rules C1 and C3).

Shapes: B rows, T positions, P positions asked for, N stream, D model width, V vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pgolf.evaluate.windows import Chunk, Lane, Window
from pgolf.model import GPT

HiddenFn = Callable[[Tensor], Tensor]
"""`GPT.hidden_states`, compiled or not."""


class Where(NamedTuple):
    """The positions that are asked for; each is one that its row's window scores."""

    rows_P: Tensor
    columns_P: Tensor


class Committed(NamedTuple):
    """A chunk whose losses are fixed, with the stream up to its last target and not one token more."""

    row: int
    chunk: Chunk
    tokens_N: Tensor
    """int64, of length `chunk.end + 1`."""


class Method(ABC):
    """The defaults are those of fixed weights on one stream: nothing to begin, nothing to learn."""

    name: str
    bos_id: int | None = None
    """The token that starts a document, for methods that treat documents apart."""
    slots: int = 1
    """How many lanes may run at once. Above 1, row r of every batch belongs to the lane in slot r."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where its inputs must lie."""

    @abstractmethod
    def plan(self, predictions: int, starts: Sequence[int]) -> list[Lane]:
        """Windows over `predictions` positions, from lengths and the document starts known so far.

        A later start may only cut windows short and add new ones after it.
        """

    def reset(self, slots: int) -> None:  # noqa: B027
        """Forget everything; what follows uses `slots` rows, or any batch size where `self.slots` is 1."""

    def begin(self, rows: Sequence[int]) -> None:  # noqa: B027
        """These rows start a new lane."""

    @abstractmethod
    def logits(self, inputs_BT: Tensor, windows: Sequence[Window], where: Where) -> Tensor:
        """logits_PV of the next tokens, from the inputs alone; inputs past a window's end are 0.

        Each scored position is asked for once by the batched driver. The stepwise driver comes back to a
        window for each of its positions, with 0 for the inputs that it does not know yet.
        """

    def learn(self, committed: Sequence[Committed]) -> None:  # noqa: B027
        """Take up chunks whose losses are fixed. Not called after the last chunk of a lane."""


def hidden_fn(model: GPT, *, compiled: bool | None = None) -> HiddenFn:
    """The model's hidden states as a function; compiled on CUDA unless told otherwise."""
    if compiled if compiled is not None else model.device.type == "cuda":
        return torch.compile(model.hidden_states, dynamic=False, fullgraph=True)
    return model.hidden_states


def head_at(model: GPT, hidden_BTD: Tensor, where: Where) -> Tensor:
    """logits_PV: the head is run only where it is asked for, a sixteenth of a window of stride 64."""
    hidden_PD = hidden_BTD[where.rows_P, where.columns_P]
    logits_PV: Tensor = model.head(hidden_PD[None])[0]
    return logits_PV
