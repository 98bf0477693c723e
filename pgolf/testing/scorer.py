"""What the assertions take: a function that scores a whole stream, or a predictor that goes step by step.

Shapes: N predictions of a stream of N + 1 tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Tokens = NDArray[np.int64]
Losses = NDArray[np.float64]

ScoringFunction = Callable[[Tokens], Any]
"""From tokens_N+1 to nats_N: `nats[i]` is the loss of `tokens[i + 1]`. Arrays, lists and torch tensors will do."""


@runtime_checkable
class StepPredictor(Protocol):
    """The step protocol: `update` with the first token, then in turns `log_probs` and `update`."""

    def reset(self) -> None:
        """Forget everything; the same tokens again give the same predictions."""

    def log_probs(self) -> Any:
        """Natural logs of the next token's distribution given all tokens so far, of shape (V,)."""

    def update(self, token: int) -> None:
        """The next token is `token`."""


Scorer = ScoringFunction | StepPredictor


def as_tokens(tokens: ArrayLike) -> Tokens:
    """A stream as int64.

    Raises:
        ValueError: it is no row of at least two integers.
    """
    array = np.asarray(tokens)
    if array.ndim != 1 or len(array) < 2 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"tokens of shape {array.shape} and dtype {array.dtype}; expected a row of at least two integers"
        )
    return array.astype(np.int64)


def as_floats(values: Any) -> Losses:
    """Numbers as float64, also from a torch tensor on any device."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=np.float64)


def losses_of(scorer: ScoringFunction, tokens_N1: Tokens) -> Losses:
    """nats_N of a scoring function, which is given a copy of the stream.

    Raises:
        AssertionError: another number of losses than of predictions, or a loss that is NaN.
    """
    nats_N = as_floats(scorer(tokens_N1.copy()))
    if nats_N.shape != (len(tokens_N1) - 1,):
        raise AssertionError(
            f"losses of shape {nats_N.shape} for {len(tokens_N1)} tokens; expected ({len(tokens_N1) - 1},): "
            "one for every token but the first"
        )
    if np.isnan(nats_N).any():
        raise AssertionError(f"the loss of token {int(np.isnan(nats_N).argmax()) + 1} is NaN")
    return nats_N


def distributions_of(predictor: StepPredictor, tokens_N1: Tokens) -> Losses:
    """log_probs_NV of a predictor over a stream, from a reset on.

    Raises:
        AssertionError: a distribution of another shape than (V,), or with a NaN.
    """
    predictor.reset()
    rows: list[Losses] = []
    for position, token in enumerate(tokens_N1[:-1].tolist()):
        predictor.update(token)
        # A predictor may hand out its own buffer.
        row_V = as_floats(predictor.log_probs()).copy()
        if row_V.ndim != 1 or (rows and row_V.shape != rows[0].shape):
            raise AssertionError(
                f"log_probs() of shape {row_V.shape} for token {position + 1}; expected (V,)"
            )
        if np.isnan(row_V).any():
            raise AssertionError(f"a log-probability for token {position + 1} is NaN")
        rows.append(row_V)
    return np.stack(rows)
