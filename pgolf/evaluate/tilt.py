"""n-gram tilt: raise the probability of one hinted token, and normalize in closed form.

    p'(v) = p(v) exp(beta [v = h]) / Z,    Z = 1 + p(h) (exp(beta) - 1)

sums to one whatever the hint h, and needs only p(target) and p(h). The hint is the most frequent successor
of the longest context whose successors agree well enough, from tokens before the position alone. Merged in
the contest (rule R-054). Sources: #1145, #1514, #2135 (threshold and boost). Gates that look at the class
of the token to be predicted are not here: they leak it (rule R-053).

Costs two sorts per order for a stream's hints, inside the evaluation's clock.

Shapes: N positions, E positions with a context of the order at hand, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pgolf.evaluate.counts import ContextHash, Recent, best_before
from pgolf.evaluate.mixer import Mixer


@dataclass(frozen=True)
class TiltConfig:
    """When to hint, and how hard to lean on it; threshold, beta and longest order are #2135's."""

    min_order: int = 8
    max_order: int = 16
    """Length of the longest context, and one."""
    buckets: int = 4_194_304
    beta: float = 2.625
    threshold: float = 0.8
    """Least share of the context's successors that the hint must have."""
    min_count: int = 1
    """Least number of times that the hint must have followed."""

    def __post_init__(self) -> None:
        if not 2 <= self.min_order <= self.max_order:
            raise ValueError(
                f"orders {self.min_order} to {self.max_order}: expected at least 2, and a rising range"
            )
        if self.buckets < 1 or self.min_count < 1:
            raise ValueError(
                f"buckets and min_count must be at least 1, got {self.buckets} and {self.min_count}"
            )
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must be in [0, 1], got {self.threshold}")


@dataclass
class Successors:
    """What followed a context so far."""

    counts: dict[int, int]
    best: int = -1

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class TiltMixer(Mixer):
    """At most one hint per position."""

    name = "tilt"

    def __init__(self, vocab_size: int, config: TiltConfig | None = None) -> None:
        self.vocab_size = vocab_size
        self.config = config or TiltConfig()
        self.reset()

    def reset(self) -> None:
        self._recent = Recent(range(self.config.min_order, self.config.max_order + 1), self.config.buckets)
        self._table: dict[tuple[int, int], Successors] = {}

    def mix(self, log_probs_V: Tensor) -> Tensor:
        hint = self.hint()
        if hint < 0:
            return log_probs_V
        z = 1 + log_probs_V[hint].exp() * math.expm1(self.config.beta)
        tilted_V = log_probs_V - z.log()
        tilted_V[hint] += self.config.beta
        return tilted_V

    def update(self, token: int) -> None:
        for context in self._recent.contexts():
            seen = self._table.setdefault(context, Successors({}))
            seen.counts[token] = seen.counts.get(token, 0) + 1
            if seen.best < 0 or seen.counts[token] > seen.counts[seen.best]:
                seen.best = token
        self._recent.append(token)

    def hint(self) -> int:
        """The candidate for the next token, -1 for none."""
        for context in reversed(self._recent.contexts()):
            seen = self._table.get(context)
            if seen is None:
                continue
            count = seen.counts[seen.best]
            if count >= self.config.min_count and count >= self.config.threshold * seen.total:
                return seen.best
        return -1

    def hints(self, tokens_N: Tensor) -> Tensor:
        hint_N = torch.full_like(tokens_N[:-1], -1)
        contexts = ContextHash(tokens_N[:-1], self.config.buckets)
        for length in range(1, min(self.config.max_order, len(tokens_N))):
            bucket_E = contexts.lengthen()
            if length + 1 < self.config.min_order:
                continue
            best = best_before(bucket_E, tokens_N[length:], self.vocab_size)
            sure_E = (best.count_E >= self.config.min_count) & (
                best.count_E >= self.config.threshold * best.total_E.double()
            )
            # Orders come shortest first, so a longer context's hint replaces a shorter one's.
            hint_N[length - 1 :] = best.token_E.where(sure_E, hint_N[length - 1 :])
        return hint_N

    def hinted(self, logits_PV: Tensor, hint_P: Tensor) -> Tensor:
        """A tilt adds beta to the hint's logit; the softmax then divides by the Z above."""
        boost_P1 = (self.config.beta * (hint_P >= 0)).to(logits_PV.dtype)[:, None]
        return logits_PV.scatter_add(1, hint_P.clamp_min(0)[:, None], boost_P1)
