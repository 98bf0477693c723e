"""Decoding what was encoded gives the stream back, for any predictor and any tokens, at the predicted cost."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgolf.coder import FLUSH_BITS, PRECISION_BITS, decode, encode, quantization_loss_bits
from pgolf.testing import assert_decodes
from pgolf.testing.predictors import Arbitrary, NumpyPredictor
from pgolf.testing.strategies import predictors, streams
from tests.properties.profile import assert_refuted, examples


@st.composite
def cases(draw: st.DrawFn) -> tuple[NumpyPredictor, np.ndarray]:
    """A predictor over any vocabulary, and a stream of it."""
    vocab_size = draw(st.integers(2, 40) | st.sampled_from([255, 256, 257, 1024]))
    return draw(predictors(vocab_size)), draw(streams(vocab_size, max_size=40))


@examples(150)
@given(case=cases())
def test_any_predictor_and_any_tokens(case: tuple[NumpyPredictor, np.ndarray]) -> None:
    predictor, tokens = case
    n, vocab_size = len(tokens) - 1, len(_first(predictor, tokens))
    encoded = encode(predictor, tokens, n)
    assert decode(predictor, encoded.bitstream, n, int(tokens[0])) == tokens.tolist()
    # No token costs more than the floor of 2^-24, however sure the predictor was of another one.
    bits_N = encoded.nats_N / math.log(2)
    most = np.minimum(bits_N + quantization_loss_bits(vocab_size), PRECISION_BITS).sum()
    least = np.minimum(bits_N, PRECISION_BITS).sum() * 0.999 - 1
    assert least <= 8 * len(encoded.bitstream) <= most + FLUSH_BITS


@examples(60)
@given(case=cases(), data=st.data())
def test_a_prefix_needs_nothing_of_what_follows(
    case: tuple[NumpyPredictor, np.ndarray], data: st.DataObject
) -> None:
    predictor, tokens = case
    n = data.draw(st.integers(1, len(tokens) - 1))
    cut = encode(predictor, tokens[: n + 1], n)
    assert encode(predictor, tokens, n).bitstream == cut.bitstream
    assert decode(predictor, cut.bitstream, n, int(tokens[0])) == tokens[: n + 1].tolist()


V = 8


class Peeking(Arbitrary):
    """Knows the stream where it has it: the copy that reads the bits does not."""

    def __init__(self, stream: list[int] | None) -> None:
        super().__init__(V)
        self.stream, self.at = stream, 0

    def reset(self) -> None:
        super().reset()
        self.at = 0

    def log_probs(self) -> np.ndarray:
        said_V = super().log_probs()
        if self.stream is not None:
            said_V[self.stream[self.at]] += 0.5
        return said_V - np.log(np.exp(said_V).sum())

    def update(self, token: int) -> None:
        super().update(token)
        self.at += 1


class ForgetsToReset(Arbitrary):
    def reset(self) -> None:
        pass


class NewEachTime(Arbitrary):
    """Noise that no two copies share."""

    made = 0

    def reset(self) -> None:
        NewEachTime.made += 1
        self._state = NewEachTime.made


class OverOne(Arbitrary):
    def log_probs(self) -> np.ndarray:
        return super().log_probs() + 0.01


def peeking(tokens: np.ndarray) -> Callable[[], NumpyPredictor]:
    copies = iter([tokens.tolist(), None])
    return lambda: Peeking(next(copies))


def shared(tokens: np.ndarray) -> Callable[[], NumpyPredictor]:
    one = ForgetsToReset(V)
    return lambda: one


ILLEGAL: dict[str, Callable[[np.ndarray], Callable[[], NumpyPredictor]]] = {
    "peeks": peeking,
    "forgets to reset": shared,
    "does not repeat": lambda tokens: lambda: NewEachTime(V),
    "sums to more than one": lambda tokens: lambda: OverOne(V),
}


@pytest.mark.mutant
@pytest.mark.parametrize("name", ILLEGAL)
def test_what_is_no_predictor_cannot_be_decoded(name: str) -> None:
    def check(tokens: np.ndarray) -> None:
        assert_decodes(ILLEGAL[name](tokens), tokens)

    assert_refuted(check, tokens=streams(V, min_size=20))


def _first(predictor: NumpyPredictor, tokens: np.ndarray) -> np.ndarray:
    predictor.reset()
    predictor.update(int(tokens[0]))
    return predictor.log_probs()
