"""A stream as bits, and back: a range coder that runs on any `Predictor`.

A score is a code length (rule C1: "a decoder holding only A must be able to reproduce p_t before seeing
x_t"). `encode` writes tokens with the predictor's own distributions; `decode` reads them back with another
copy of the predictor, which is told each token only after it was decoded. A predictor that used anything
but the past writes bits that nobody can read.

The coder itself is the range coder of the constriction package (Bamler, 2022, arXiv:2201.01741). It works
on integers: `frequencies` rounds each distribution to multiples of 2^-24 so that every token can be coded.
Of V tokens none then costs more than `quantization_loss_bits(V)` over its -log2 p: 0.00009 bits for 1,024
tokens, 0.0007 for 8,192. Encoder and decoder must compute the same floats, as the same machine and
libraries do.

Shapes: N predictions of a stream of N + 1 tokens, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import constriction
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgolf.evaluate.predictor import Predictor

RangeEncoder = constriction.stream.queue.RangeEncoder
RangeDecoder = constriction.stream.queue.RangeDecoder
Categorical = constriction.stream.model.Categorical

PRECISION_BITS = 24
"""Probabilities are multiples of 2^-24; the coder's own fixed precision."""
MASS_ERROR = 1e-3
"""How far from one a distribution may sum: what rule R-002 leaves to rounding."""
WORD_BITS = 32
FLUSH_BITS = 2 * WORD_BITS
"""At most so many bits more than the tokens need, once per stream."""


class NotNormalized(ValueError):
    """What a predictor gave is no distribution."""

    def __init__(self, position: int, total: float) -> None:
        super().__init__(
            f"the probabilities at position {position} sum to {total:.6g}, expected 1 within {MASS_ERROR:g}; "
            "log_probs() must return natural logs of a distribution over the whole vocabulary"
        )
        self.position = position
        self.total = total


class Encoded(NamedTuple):
    """A coded stream."""

    bitstream: bytes
    """Little-endian words of 32 bits."""
    nats_N: NDArray[np.float64]
    """-ln p of each token, as the predictor gave it: what the bits are to be held against."""


def quantization_loss_bits(vocab_size: int) -> float:
    """The most that rounding adds to the bits of one token, whichever it is."""
    return -math.log2(1 - vocab_size / 2**PRECISION_BITS)


def frequencies(probs_V: NDArray[np.float64]) -> NDArray[np.int64]:
    """Integers of at least 1 that sum to 2^24, none below its share of 2^24 - V.

    Each token is given 1, and of the other 2^24 - V its probability's share, rounded down; what the rounding
    leaves over goes to the likeliest token, the first one of several.
    """
    free = 2**PRECISION_BITS - len(probs_V)
    shares_V: NDArray[np.int64] = np.floor(probs_V / probs_V.sum() * free).astype(np.int64)
    shares_V[np.argmax(probs_V)] += free - shares_V.sum()
    return shares_V + 1


def encode(predictor: Predictor, tokens: Sequence[int] | NDArray[Any], n: int) -> Encoded:
    """Code tokens 1 to n of a stream; token 0 is context, which the decoder is told.

    Raises:
        NotNormalized: a distribution that does not sum to one, with its position.
        ValueError: fewer than n + 1 tokens, or a token outside the vocabulary.
    """
    if not 0 < n < len(tokens):
        raise ValueError(
            f"{n} predictions of a stream of {len(tokens)} tokens; expected 1 to {len(tokens) - 1}"
        )
    encoder = RangeEncoder()
    nats_N = np.empty(n)
    predictor.reset()
    predictor.update(int(tokens[0]))
    for position in range(n):
        log_probs_V, model = _coding_model(predictor.log_probs(), position)
        token = int(tokens[position + 1])
        if not 0 <= token < len(log_probs_V):
            raise ValueError(
                f"token {token} at position {position + 1} of a vocabulary of {len(log_probs_V)}"
            )
        nats_N[position] = -log_probs_V[token]
        encoder.encode(token, model)
        predictor.update(token)
    return Encoded(encoder.get_compressed().astype("<u4").tobytes(), nats_N)


def decode(predictor: Predictor, bitstream: bytes, n: int, first_token: int) -> list[int]:
    """The stream of n + 1 tokens that `encode` wrote. Raises what `decoded` raises."""
    return [first_token, *decoded(predictor, bitstream, n, first_token)]


def decoded(predictor: Predictor, bitstream: bytes, n: int, first_token: int) -> Iterator[int]:
    """Tokens 1 to n, one at a time: what was read before an error is not lost.

    Raises:
        NotNormalized: a distribution that does not sum to one, with its position.
        ValueError: bits that this predictor's distributions cannot have written.
    """
    if len(bitstream) % (WORD_BITS // 8):
        raise ValueError(f"a bitstream of {len(bitstream)} bytes; expected words of {WORD_BITS // 8}")
    decoder = RangeDecoder(np.frombuffer(bitstream, dtype="<u4").astype(np.uint32))
    predictor.reset()
    predictor.update(first_token)
    for position in range(n):
        _, model = _coding_model(predictor.log_probs(), position)
        try:
            token = int(decoder.decode(model))
        except AssertionError as error:
            raise ValueError(f"the bits at position {position} fit no token: {error}") from None
        yield token
        predictor.update(token)


def _coding_model(log_probs: Tensor, position: int) -> tuple[NDArray[np.float64], Any]:
    log_probs_V = torch.as_tensor(log_probs).detach().double().cpu().numpy()
    if log_probs_V.ndim != 1 or not 2 <= len(log_probs_V) < 2**PRECISION_BITS // 2:
        raise ValueError(f"log_probs() of shape {log_probs_V.shape}; expected (V,), at least two tokens")
    with np.errstate(over="ignore"):
        probs_V = np.exp(log_probs_V)
    total = float(probs_V.sum())
    if not abs(total - 1) <= MASS_ERROR:
        raise NotNormalized(position, total)
    # The coder gives each token 1 and shares the rest by weight. Weights that are integers and sum to that
    # rest pass through its floating point unchanged, so the integers that it codes with are ours.
    weights_V = (frequencies(probs_V) - 1).astype(np.float64)
    return log_probs_V, Categorical(weights_V, perfect=False)
