"""Legal predictors of the step protocol, in numpy: what a checker must never accuse.

Shapes: V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

LogProbs = NDArray[np.float64]


class NumpyPredictor(Protocol):
    """The step protocol with log-probabilities in numpy."""

    def reset(self) -> None: ...

    def log_probs(self) -> LogProbs: ...

    def update(self, token: int) -> None: ...


@dataclass
class Counting:
    """Counts of what followed the last `order` tokens, smoothed by `strength`; with order 0, of all tokens."""

    vocab_size: int
    order: int = 0
    strength: float = 1.0
    _past: list[int] = field(default_factory=list, init=False, repr=False)
    _counts: dict[tuple[int, ...], LogProbs] = field(default_factory=dict, init=False, repr=False)

    def reset(self) -> None:
        self._past, self._counts = [], {}

    def log_probs(self) -> LogProbs:
        counts_V = self._counts.get(self._context(), np.zeros(self.vocab_size)) + self.strength
        log_probs_V: LogProbs = np.log(counts_V / counts_V.sum())
        return log_probs_V

    def update(self, token: int) -> None:
        self._counts.setdefault(self._context(), np.zeros(self.vocab_size))[token] += 1
        self._past.append(token)

    def _context(self) -> tuple[int, ...]:
        return tuple(self._past[len(self._past) - self.order :]) if self.order else ()


@dataclass
class Arbitrary:
    """Another random distribution for every past: no structure at all, only causality."""

    vocab_size: int
    seed: int = 0
    sharpness: float = 1.0
    """From 0, flat, to a thousand, certain and nearly always wrong."""
    _state: int = field(default=0, init=False, repr=False)

    def reset(self) -> None:
        self._state = self.seed

    def log_probs(self) -> LogProbs:
        logits_V = np.random.default_rng(self._state).normal(0.0, self.sharpness, self.vocab_size)
        return _log_softmax(logits_V)

    def update(self, token: int) -> None:
        self._state = (self._state * 1_000_003 + token + 1) % 2**61


@dataclass
class Betting:
    """Doubles its stake: half of the vocabulary, another half each time, gets all mass but `caution`."""

    vocab_size: int
    seed: int = 0
    caution: float = 0.01
    _turn: int = field(default=0, init=False, repr=False)

    def reset(self) -> None:
        self._turn = 0

    def log_probs(self) -> LogProbs:
        half = np.random.default_rng((self.seed, self._turn)).permutation(self.vocab_size)
        favoured = half[: max(1, self.vocab_size // 2)]
        probs_V = np.full(self.vocab_size, self.caution / self.vocab_size)
        probs_V[favoured] += (1 - self.caution) / len(favoured)
        log_probs_V: LogProbs = np.log(probs_V)
        return log_probs_V

    def update(self, token: int) -> None:
        self._turn += 1


@dataclass
class Mixture:
    """Predictors under weights that follow how well each did so far, as Bayes has it."""

    parts: Sequence[NumpyPredictor]
    _log_weights: LogProbs = field(default_factory=lambda: np.zeros(0), init=False, repr=False)
    _said: LogProbs | None = field(default=None, init=False, repr=False)

    def reset(self) -> None:
        for part in self.parts:
            part.reset()
        self._log_weights = np.full(len(self.parts), -math.log(len(self.parts)))
        self._said = None

    def log_probs(self) -> LogProbs:
        self._said = np.stack([part.log_probs() for part in self.parts])
        joint = self._log_weights[:, None] + self._said
        highest_V = joint.max(axis=0)
        log_probs_V: LogProbs = highest_V + np.log(np.exp(joint - highest_V).sum(axis=0))
        return log_probs_V

    def update(self, token: int) -> None:
        if self._said is not None:
            self._log_weights = _log_softmax(self._log_weights + self._said[:, token])
            self._said = None
        for part in self.parts:
            part.update(token)


def _log_softmax(logits: LogProbs) -> LogProbs:
    shifted: LogProbs = logits - logits.max()
    normalized: LogProbs = shifted - math.log(np.exp(shifted).sum())
    return normalized
