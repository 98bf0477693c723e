"""Hypothesis strategies for what scorers meet: streams, windows, legal predictors and tokenizers.

Needs Hypothesis: `pip install 'pgolf-verify[testing]'`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import sentencepiece as spm
from hypothesis import strategies as st

from pgolf.testing.predictors import Arbitrary, Betting, Counting, Mixture, NumpyPredictor
from pgolf.testing.scorer import Tokens
from pgolf.testing.tokenizers import KINDS, Kind, trained


def streams(vocab_size: int, *, min_size: int = 2, max_size: int = 64) -> st.SearchStrategy[Tokens]:
    """Tokens 0 to `vocab_size` - 1; half of the streams repeat a phrase, which is what caches live on."""
    token = st.integers(0, vocab_size - 1)
    free = st.lists(token, min_size=min_size, max_size=max_size)
    phrase = st.lists(token, min_size=1, max_size=max(1, max_size // 4))
    return (free | st.builds(_repeated, free, phrase)).map(lambda each: np.array(each, dtype=np.int64))


def _repeated(free: Sequence[int], phrase: Sequence[int]) -> list[int]:
    """The phrase over and over, but for every fifth token, which stays free."""
    return [token if at % 5 == 4 else phrase[at % len(phrase)] for at, token in enumerate(free)]


class WindowPlan(NamedTuple):
    """Lengths that an evaluation is cut by; 1 <= stride <= seq_len."""

    predictions: int
    seq_len: int
    stride: int


@st.composite
def window_plans(
    draw: st.DrawFn, max_predictions: int = 400, max_seq_len: int = 64, min_seq_len: int = 1
) -> WindowPlan:
    """Any stream's length with any window and stride: windows longer than the stream and strides of one too."""
    seq_len = draw(st.integers(min_seq_len, max_seq_len))
    return WindowPlan(draw(st.integers(1, max_predictions)), seq_len, draw(st.integers(1, seq_len)))


def predictors(vocab_size: int) -> st.SearchStrategy[NumpyPredictor]:
    """Legal predictors: counts of any order, random functions of the past, gamblers, and mixtures of them."""
    seeds = st.integers(0, 2**32 - 1)
    single = (
        st.builds(Counting, st.just(vocab_size), st.integers(0, 4), st.sampled_from([0.01, 1.0, 100.0]))
        | st.builds(Arbitrary, st.just(vocab_size), seeds, st.sampled_from([0.0, 1.0, 10.0, 1000.0]))
        | st.builds(Betting, st.just(vocab_size), seeds, st.sampled_from([1e-6, 0.01, 0.5]))
    )
    return single | st.lists(single, min_size=2, max_size=3).map(Mixture)


def tokenizers(kinds: Sequence[Kind] = KINDS) -> st.SearchStrategy[spm.SentencePieceProcessor]:
    """SentencePiece models of several kinds, trained on the embedded corpus when first drawn."""
    return st.sampled_from(kinds).map(trained)
