"""The stepwise driver: a method as a predictor that has never been given a later token.

It holds the tokens of the past and nothing else. To predict at a position it hands the method that
position's window with 0 for every input that has not come yet, and reads one row of logits. Slow, and the
referee of the batched driver; a range decoder can run on it.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from pgolf.evaluate.driver import window_inputs
from pgolf.evaluate.method import Committed, Method, Where
from pgolf.evaluate.mixer import Mixed, Mixer
from pgolf.evaluate.windows import Chunk, Window


class Predictor(Protocol):
    """Predicts a stream from its past: `update` with the first token, then in turns predict and update."""

    def reset(self) -> None:
        """Forget everything; the same tokens again give the same predictions."""

    def log_probs(self) -> Tensor:
        """Natural logs of the next token's distribution given all tokens so far, of shape (V,)."""

    def update(self, token: int) -> None:
        """The next token is `token`."""


class Place(NamedTuple):
    """The window that scores a position, and where it stands in the plan."""

    lane: int
    chunk: Chunk
    window: Window


class Stepwise:
    """A `Predictor` that runs a method over a stream of `predictions + 1` tokens, one token at a time."""

    def __init__(self, method: Method | Mixed, predictions: int) -> None:
        self.predictions = predictions
        self._method: Method = method.method if isinstance(method, Mixed) else method
        self._mixer: Mixer | None = method.mixer if isinstance(method, Mixed) else None
        self.reset()

    def reset(self) -> None:
        self._tokens: list[int] = []
        self._starts = [0]
        self._last: Place | None = None
        self._prediction: Tensor | None = None
        self._method.reset(1)
        if self._mixer is not None:
            self._mixer.reset()
        self._plan()

    def update(self, token: int) -> None:
        if self._tokens and self._prediction is None:
            self.log_probs()  # a method with carried state must read every position
        self._prediction = None
        self._tokens.append(token)
        if token == self._method.bos_id and 1 < len(self._tokens) <= self.predictions:
            self._starts.append(len(self._tokens) - 1)
            self._plan()
        if self._mixer is not None:
            self._mixer.update(token)

    @torch.no_grad()
    def log_probs(self) -> Tensor:
        """fp64, on the method's device.

        Raises:
            ValueError: before the first token, or past the length that was announced.
        """
        position = len(self._tokens) - 1
        if not 0 <= position < self.predictions:
            raise ValueError(
                f"{len(self._tokens)} tokens so far of a stream of {self.predictions + 1}: nothing to predict"
            )
        if self._prediction is None:
            self._prediction = self._predict(position)
        return self._prediction

    def _predict(self, position: int) -> Tensor:
        place = self._places[bisect_right(self._first, position) - 1]
        tokens_N = torch.tensor(self._tokens, device=self._method.device)
        last = self._last
        if last is None or last.lane != place.lane:
            self._method.begin([0])
            self._warm_up(place, tokens_N)
        elif last.chunk.index != place.chunk.index:
            self._method.learn([Committed(0, last.chunk, tokens_N[: last.chunk.end + 1])])
        self._last = place
        # Padded, not cut: the same shapes for every position, so the same kernels.
        known_N = torch.zeros(max(place.window.end, len(tokens_N)), dtype=torch.int64, device=tokens_N.device)
        known_N[: len(tokens_N)] = tokens_N
        row_P = torch.zeros(1, dtype=torch.int64, device=tokens_N.device)
        where = Where(row_P, row_P + position - place.window.start)
        inputs_1T = window_inputs(known_N, [place.window])
        logits_V = self._method.logits(inputs_1T, [place.window], where)[0]
        log_probs_V = logits_V.double().log_softmax(-1)
        return log_probs_V if self._mixer is None else self._mixer.mix(log_probs_V)

    def _warm_up(self, place: Place, tokens_N: Tensor) -> None:
        """Read what a lane reads before the first position that it scores."""
        nowhere = Where(tokens_N[:0], tokens_N[:0])
        for chunk in self._lanes[place.lane][: place.chunk.index]:
            self._method.logits(window_inputs(tokens_N, chunk.windows), chunk.windows, nowhere)
            self._method.learn([Committed(0, chunk, tokens_N[: chunk.end + 1])])

    def _plan(self) -> None:
        self._lanes = self._method.plan(self.predictions, self._starts)
        self._places = [
            Place(number, chunk, window)
            for number, lane in enumerate(self._lanes)
            for chunk in lane
            for window in chunk.windows
            if window.score_from < window.end
        ]
        self._first = [place.window.score_from for place in self._places]
