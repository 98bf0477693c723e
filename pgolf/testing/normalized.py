"""Probabilities sum to one over the vocabulary, whichever token comes.

Of a predictor that is a sum over what it returns. A function that scores whole streams is asked for every
token in turn: with all else held, the probabilities that it gives to the candidates at one position must sum
to one. Hashed ratios, the better of two experts, a gate on the realised token and a table that learned the
token first do not.

Shapes: N predictions of a stream of N + 1 tokens, V vocabulary.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pgolf.testing.scorer import Losses, Scorer, StepPredictor, as_tokens, distributions_of, losses_of

SHOWN = 3
"""Candidates in the message, likeliest first."""


def assert_normalized(
    scorer: Scorer,
    tokens: ArrayLike,
    vocab_size: int | None = None,
    *,
    positions: int = 8,
    tolerance: float = 1e-5,
) -> None:
    """Assert that a scorer's probabilities sum to one.

    Args:
        scorer: a function from N + 1 tokens to N losses in nats, or an object of the step protocol.
        tokens: the stream.
        vocab_size: how many candidates there are; needed for a function, which is run once for each of them
            at each position that is asked for.
        positions: how many tokens of the stream a function is asked for, spread evenly, the last among them;
            a predictor is asked for all.
        tolerance: how far from one a sum may be; float32 over a few thousand tokens keeps to 1e-5.

    Raises:
        AssertionError: a sum is another, with the token, the sum and the likeliest candidates.
        ValueError: a function without a vocabulary.
    """
    tokens_N1 = as_tokens(tokens)
    if isinstance(scorer, StepPredictor):
        for row, log_probs_V in enumerate(distributions_of(scorer, tokens_N1)):
            _check(row + 1, log_probs_V, tolerance)
        return
    if vocab_size is None:
        raise ValueError("a function that scores streams needs vocab_size: the candidates that are asked for")
    last = len(tokens_N1) - 1
    for at in np.unique(np.linspace(last, 1, min(positions, last)).round().astype(np.int64)).tolist():
        log_probs_V = np.empty(vocab_size)
        for candidate in range(vocab_size):
            stream = tokens_N1.copy()
            stream[at] = candidate
            log_probs_V[candidate] = -losses_of(scorer, stream)[at - 1]
        _check(at, log_probs_V, tolerance)


def _check(at: int, log_probs_V: Losses, tolerance: float) -> None:
    with np.errstate(over="ignore"):
        probs_V = np.exp(log_probs_V)
    total = float(probs_V.sum())
    if not abs(total - 1) <= tolerance:
        likeliest = np.argsort(-probs_V, kind="stable")[:SHOWN]
        shown = ", ".join(f"{token}: {probs_V[token]:.4g}" for token in likeliest)
        raise AssertionError(
            f"the probabilities of the {len(probs_V)} candidates for token {at} sum to {total:.6g}, expected 1 "
            f"within {tolerance:g} (likeliest {shown})"
        )
