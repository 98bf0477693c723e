"""Each position is scored once: none twice, none left out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def assert_scores_once(parts: Iterable[Iterable[int]], predictions: int) -> None:
    """Assert that the parts of an evaluation score positions 0 to `predictions` - 1 once each, in any order.

    Args:
        parts: the positions that each window, batch or rank scores: ranges, lists or arrays.
        predictions: how many positions the stream has; one less than its tokens.

    Raises:
        AssertionError: a position is scored twice, outside the stream, or not at all, with the parts' numbers.
    """
    owner = np.full(predictions, -1, dtype=np.int64)
    for number, part in enumerate(parts):
        for position in part:
            if not 0 <= position < predictions:
                raise AssertionError(
                    f"part {number} scores position {position}; expected 0 to {predictions - 1}"
                )
            if owner[position] >= 0:
                raise AssertionError(
                    f"position {position} is scored twice: by part {owner[position]} and by part {number}"
                )
            owner[position] = number
    missing = np.flatnonzero(owner < 0)
    if missing.size:
        raise AssertionError(
            f"{missing.size} of {predictions} positions are not scored, the first of them {missing[0]}"
        )
