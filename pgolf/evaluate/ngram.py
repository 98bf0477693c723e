"""An n-gram mixer of orders 2 to 22 over the committed tokens, normalized by construction.

Interpolated Witten-Bell, built on the model: the distribution after a context of n - 1 tokens is

    p_n(v) = (count(v) + e distinct p_{n-1}(v)) / (total + e distinct),    p_1 = the model's own,

from what followed this context before (total tokens, distinct of them), and p_{n-1} where the context is
new. Each p_n sums to one because its counts sum to its total (`counts.py`) and p_{n-1} sums to one. The
result is mixed with the model by a weight that depends on the model's entropy, which is known before the
token (rule R-053). This is the legal twin of the contest's hashed caches (rule R-051). Sources: Witten and
Bell 1991; #659 for the entropy weight; #1642 for exact counts over the whole vocabulary.

Costs O(orders x N log N) for a stream, and O(orders) dictionary lookups and V-vectors for one step.

Shapes: N positions, E positions with a context of the order at hand, S of them whose context was there before,
V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pgolf.evaluate.counts import ContextHash, Recent, seen_before
from pgolf.evaluate.mixer import Facts, Mixer


@dataclass(frozen=True)
class NgramConfig:
    """Which contexts count and how far they are trusted."""

    min_order: int = 2
    max_order: int = 22
    """Length of the longest context, and one."""
    buckets: int = 4_194_304
    """Of each order."""
    escape: float = 1.0
    """Trust in the shorter context: it gets `escape * distinct` pseudo-counts."""
    alpha_base: float = 0.20
    alpha_range: float = 0.55
    alpha_slope: float = 2.0
    alpha_center_nats: float = 2.5
    """alpha = base + range * sigmoid(slope * (entropy - center)): lean on counts where the model is unsure."""

    def __post_init__(self) -> None:
        if not 2 <= self.min_order <= self.max_order:
            raise ValueError(
                f"orders {self.min_order} to {self.max_order}: expected at least 2, and a rising range"
            )
        if self.buckets < 1:
            raise ValueError(f"buckets must be at least 1, got {self.buckets}")
        if not self.escape > 0:
            raise ValueError(f"escape must be positive, got {self.escape}")
        if self.alpha_base < 0 or self.alpha_range < 0 or self.alpha_base + self.alpha_range > 1:
            raise ValueError(
                f"alpha runs from {self.alpha_base} to {self.alpha_base + self.alpha_range}; "
                "expected a range within 0 to 1"
            )

    def alpha(self, entropy_nats: Tensor) -> Tensor:
        """The weight of the counts, of any shape."""
        rise = torch.sigmoid(self.alpha_slope * (entropy_nats - self.alpha_center_nats))
        return self.alpha_base + self.alpha_range * rise


class NgramMixer(Mixer):
    """Counts of everything so far, per token: each prediction knows all tokens before it."""

    name = "ngram"

    def __init__(self, vocab_size: int, config: NgramConfig | None = None) -> None:
        self.vocab_size = vocab_size
        self.config = config or NgramConfig()
        self.reset()

    def reset(self) -> None:
        self._recent = Recent(range(self.config.min_order, self.config.max_order + 1), self.config.buckets)
        self._table: dict[tuple[int, int], dict[int, int]] = {}

    def mix(self, log_probs_V: Tensor) -> Tensor:
        model_V = log_probs_V.exp()
        ngram_V = model_V
        for context in self._recent.contexts():
            counts = self._table.get(context)
            if counts is not None:
                prior = self.config.escape * len(counts)
                ngram_V = ngram_V * prior
                ngram_V[list(counts)] += torch.tensor(
                    list(counts.values()), dtype=ngram_V.dtype, device=ngram_V.device
                )
                ngram_V = ngram_V / (sum(counts.values()) + prior)
        alpha = self.config.alpha(-(model_V * log_probs_V.nan_to_num(neginf=0)).sum())
        return ((1 - alpha) * model_V + alpha * ngram_V).log()

    def update(self, token: int) -> None:
        for context in self._recent.contexts():
            counts = self._table.setdefault(context, {})
            counts[token] = counts.get(token, 0) + 1
        self._recent.append(token)

    def mixed_nats(self, tokens_N: Tensor, facts: Facts) -> Tensor:
        model_N = (-facts.nats_N).exp()
        ngram_N = model_N.clone()
        contexts = ContextHash(tokens_N[:-1], self.config.buckets)
        for length in range(1, min(self.config.max_order, len(tokens_N))):
            bucket_E = contexts.lengthen()
            if length + 1 < self.config.min_order:
                continue
            found = seen_before(bucket_E, tokens_N[length:], self.vocab_size)
            position_S = found.event_S + (length - 1)
            prior_S = self.config.escape * found.distinct_S.double()
            longer_S = (found.token_S + prior_S * ngram_N[position_S]) / (found.total_S + prior_S)
            ngram_N[position_S] = longer_S
        alpha_N = self.config.alpha(facts.entropy_N)
        return -((1 - alpha_N) * model_N + alpha_N * ngram_N).log()
