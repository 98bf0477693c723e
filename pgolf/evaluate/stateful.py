"""Carried state: read each token once, or once and a small overlap, instead of a window for every stride.

Without overlap the model carries all it keeps: the keys and values of the last `window` tokens and the
recurrent states; each block of the stream sees what lies before it, and each token is read once. With
overlap only recurrent states are carried; attention sees one block, which begins `overlap` tokens before
the first new one, so that positions and depth of context stay as in training, at (block + overlap) / block
of the cost. Of a model without recurrent layers that is sliding evaluation with a long stride.

Source: #2066 (`eval_val_carryover`). There the overlap is read by recurrent states that have read it once
already; here a state is carried from where the next block begins, so no token enters it twice.

The stream is cut into segments, the rows of one batch, from lengths alone. A segment begins without state
and warms up on blocks before it whose losses are dropped; with one segment the state is never cold.

Shapes: B rows, T positions, D model width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from pgolf.evaluate.method import Committed, Method, Where, head_at
from pgolf.evaluate.windows import Lane, Window, make_lane
from pgolf.model import GPT


class CarriedState(Protocol):
    """A value: reading on from it does not change it."""

    def without_keys(self) -> Self:
        """The recurrent states alone, as if attention began here."""


@runtime_checkable
class CarriesState(Protocol):
    """What a model must offer."""

    def initial_state(self, batch: int) -> Any:
        """Nothing read yet; a `CarriedState`."""

    def hidden_states_from(self, input_ids_BT: Tensor, state: Any, window: int) -> tuple[Tensor, Any]:
        """(hidden_BTD, state after the inputs); a position attends to `window` positions, itself included."""


ReadFn = Callable[[Tensor, Any, int], tuple[Tensor, Any]]
"""`CarriesState.hidden_states_from`, compiled or not."""


def read_fn(model: GPT, *, compiled: bool | None = None) -> ReadFn:
    """A model that reads on from a state; compiled on CUDA unless told otherwise.

    One graph for a segment's first block, one for all that follow it, and one for a shorter last block; twice
    as many with overlap, and again for each number of segments.
    """
    if compiled if compiled is not None else model.device.type == "cuda":
        # Past torch's limit of graphs for one function, fullgraph would raise; this goes on uncompiled.
        return torch.compile(model.hidden_states_from, dynamic=False)
    return model.hidden_states_from


@dataclass(frozen=True)
class StatefulConfig:
    """How the stream is cut; the defaults are #2066's block and overlap of 1,024 each."""

    block_tokens: int = 1024
    """New tokens per block."""
    overlap_tokens: int = 0
    """Tokens that a block reads again; 0 carries keys and values instead."""
    segments: int = 64
    """Parts of the stream that run side by side."""
    warmup_blocks: int = 1
    """Blocks that a segment reads before its first scored token."""

    def __post_init__(self) -> None:
        for name in ("block_tokens", "segments"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("overlap_tokens", "warmup_blocks"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


class Stateful(Method):
    """Fixed weights and a state per segment."""

    def __init__(
        self, model: GPT, window: int, config: StatefulConfig, *, compiled: bool | None = None
    ) -> None:
        if not isinstance(model, CarriesState):
            raise ValueError(
                f"{type(model).__name__} carries no state: it has no initial_state and hidden_states_from"
            )
        self.name = "stateful-overlap" if config.overlap_tokens else "stateful"
        self.model = model
        self.window = window
        self.config = config
        self.slots = config.segments
        self.read = read_fn(model, compiled=compiled)

    @property
    def device(self) -> torch.device:
        return self.model.device

    def plan(self, predictions: int, starts: Sequence[int]) -> list[Lane]:
        block, overlap = self.config.block_tokens, self.config.overlap_tokens
        windows = [
            Window(start, min(start + block + overlap, predictions), start + overlap if start else 0)
            for start in range(0, max(1, predictions - overlap), block)
        ]
        size = -(-len(windows) // self.config.segments)
        lanes = []
        for first in range(0, len(windows), size):
            warmup = windows[max(0, first - self.config.warmup_blocks) : first]
            unscored = [Window(window.start, window.end, window.end) for window in warmup]
            lanes.append(make_lane([window] for window in unscored + windows[first : first + size]))
        return lanes

    def begin(self, rows: Sequence[int]) -> None:
        # There are never more lanes than slots, so rows begin together.
        self._state = self._next = self.model.initial_state(len(rows))

    def logits(self, inputs_BT: Tensor, windows: Sequence[Window], where: Where) -> Tensor:
        hidden_BTD, self._next = self._read(inputs_BT)
        return head_at(self.model, hidden_BTD, where)

    def _read(self, inputs_BT: Tensor) -> tuple[Tensor, Any]:
        """Hidden states of a block, and the state in which the next one begins."""
        if not self.config.overlap_tokens:
            return self.read(inputs_BT, self._state, self.window)
        block, length = self.config.block_tokens, inputs_BT.size(1)
        hidden_BTD, state = self.read(inputs_BT[:, :block], self._state, length)
        if length > block:
            again_BTD, _ = self.read(inputs_BT[:, block:], state, length)
            hidden_BTD = torch.cat((hidden_BTD, again_BTD), dim=1)
        return hidden_BTD, state.without_keys()

    def learn(self, committed: Sequence[Committed]) -> None:
        self._state = self._next
