"""A score is a function of the past: what was said of a token stays when later tokens are others.

The stream is redrawn from a token on, and what was said of the tokens before it must stay as it was. When it
does not, redrawn tokens are put back until a single one is left whose change moves an earlier score: of the
streams between the two, some neighbours differ in one token and in that score.

Cannot see: a leak that no drawn stream excites, and a predictor that finds the stream somewhere else than in
its arguments (`assert_decodes` does, where the decoder's copy is made without it).

Shapes: N predictions of a stream of N + 1 tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgolf.testing.scorer import Losses, Scorer, StepPredictor, Tokens, as_tokens, distributions_of, losses_of

SHOWN = 48
"""Streams up to this length stand in the message."""


class NotCausal(AssertionError):
    """A counterexample: two streams that differ from one token on, and a score before it that moves."""

    def __init__(
        self, scored: int, changed: int, moved_nats: float, said: str, tokens: Tokens, other: Tokens
    ) -> None:
        # A leak that is spread so thin that no single token moves the score by more than the tolerance.
        changes = "the tokens behind it are others and " if (tokens != other).sum() > 1 else ""
        stream = f"; tokens {tokens.tolist()}" if len(tokens) <= SHOWN else ""
        super().__init__(
            f"the score of token {scored} depends on token {changed}: it moves by {moved_nats:.4g} nats "
            f"({said}) when {changes}token {changed} is {other[changed]} and not {tokens[changed]}{stream}"
        )
        self.scored = scored
        self.changed = changed
        self.moved_nats = moved_nats
        self.tokens = tokens
        self.other = other


@dataclass(frozen=True)
class _Said:
    """What was said of each token of a stream, and from which later token on it may change."""

    rows: Losses
    """nats_N of a function; log_probs_NV of a predictor, of which none may know its own token."""

    @property
    def knows(self) -> int:
        """Tokens behind the prediction that row i may depend on: a function's loss knows its own token."""
        return 1 if self.rows.ndim == 1 else 0

    def moved_N(self, other: _Said) -> Losses:
        """How far each row is from another run's; infinite where only one of them is."""
        with np.errstate(invalid="ignore"):
            gap = np.abs(self.rows - other.rows)
        gap = np.where(self.rows == other.rows, 0.0, np.where(np.isnan(gap), np.inf, gap))
        return gap if gap.ndim == 1 else gap.max(axis=1)


def assert_causal(
    scorer: Scorer,
    tokens: ArrayLike,
    vocab_size: int,
    *,
    flips: int = 64,
    tolerance_nats: float = 0.0,
    seed: int = 0,
) -> None:
    """Assert that no later token moves what a scorer says of an earlier one.

    Args:
        scorer: a function from N + 1 tokens to N losses in nats, or an object of the step protocol, of which
            all V log-probabilities are compared.
        tokens: the stream.
        vocab_size: what changed tokens are drawn from.
        flips: from how many tokens on the stream is redrawn, spread evenly; every one of a shorter stream.
        tolerance_nats: what may move by rounding; 0 where a run repeats to the bit.
        seed: of the redrawn tokens.

    Raises:
        NotCausal: an AssertionError with the two streams, the token scored and the token changed.
        AssertionError: two runs over the same stream differ by more than the tolerance.
        ValueError: tokens that are none of the vocabulary, or a vocabulary of fewer than two.
    """
    tokens_N1 = as_tokens(tokens)
    if vocab_size < 2 or tokens_N1.min() < 0 or tokens_N1.max() >= vocab_size:
        raise ValueError(
            f"tokens {tokens_N1.min()} to {tokens_N1.max()} of a vocabulary of {vocab_size}; "
            f"expected 0 to {vocab_size - 1}, and at least two"
        )

    def run(stream: Tokens) -> _Said:
        if isinstance(scorer, StepPredictor):
            return _Said(distributions_of(scorer, stream))
        return _Said(losses_of(scorer, stream))

    base = run(tokens_N1)
    _check_repeats(base, run(tokens_N1), tolerance_nats, "fix the scorer's seeds, or raise tolerance_nats")
    rng = np.random.default_rng(seed)
    redrawn_N1 = (tokens_N1 + rng.integers(1, vocab_size, len(tokens_N1))) % vocab_size
    for first in _spread(1 + base.knows, len(tokens_N1) - 1, flips):
        moved_N = base.moved_N(run(_spliced(tokens_N1, redrawn_N1, first)))[: first - base.knows]
        if moved_N.max() > tolerance_nats:
            kept = "it keeps something of the streams that it scored before; reset() must forget everything"
            _check_repeats(base, run(tokens_N1), tolerance_nats, kept)
            raise _narrowed(run, base, tokens_N1, redrawn_N1, first, int(moved_N.argmax()), tolerance_nats)


def _check_repeats(base: _Said, again: _Said, tolerance_nats: float, why: str) -> None:
    moved_N = base.moved_N(again)
    if moved_N.max() > tolerance_nats:
        raise AssertionError(
            f"two runs over one stream differ by {moved_N.max():.4g} nats at token {int(moved_N.argmax()) + 1}, "
            f"over the tolerance of {tolerance_nats:g}, so that a leak cannot be told from noise: {why}"
        )


def _spread(first: int, last: int, count: int) -> list[int]:
    """At most `count` of the positions first..last, evenly, both ends among them."""
    steps = np.linspace(last, first, min(count, max(last - first + 1, 0)))
    return sorted(set(steps.round().astype(np.int64).tolist()))


def _spliced(tokens_N1: Tokens, redrawn_N1: Tokens, first: int) -> Tokens:
    return np.concatenate((tokens_N1[:first], redrawn_N1[first:]))


def _narrowed(
    run: Callable[[Tokens], _Said],
    base: _Said,
    tokens_N1: Tokens,
    redrawn_N1: Tokens,
    first: int,
    row: int,
    tolerance_nats: float,
) -> NotCausal:
    """The change of one token that moves `row`, found by halving the block whose change does."""
    moves, stays = first, len(tokens_N1)
    while stays - moves > 1:
        middle = (moves + stays) // 2
        if base.moved_N(run(_spliced(tokens_N1, redrawn_N1, middle)))[row] > tolerance_nats:
            moves = middle
        else:
            stays = middle
    stream, other = _spliced(tokens_N1, redrawn_N1, stays), _spliced(tokens_N1, redrawn_N1, moves)
    before, after = run(stream), run(other)
    if before.moved_N(after)[row] <= tolerance_nats:
        stream, before = tokens_N1, base
    moved = float(before.moved_N(after)[row])
    return NotCausal(row + 1, moves, moved, _change(before.rows[row], after.rows[row]), stream, other)


def _change(before: NDArray[np.float64], after: NDArray[np.float64]) -> str:
    """From what to what a row moved; of a distribution, the log-probability that moved most."""
    if before.ndim == 0:
        return f"from {before:.6g} to {after:.6g}"
    with np.errstate(invalid="ignore"):
        most = int(np.nan_to_num(np.abs(before - after), nan=0.0).argmax())
    return f"log p of {most}, from {before[most]:.6g} to {after[most]:.6g}"
