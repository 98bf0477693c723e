"""The range coder on predictors: exact, as short as the probabilities say, and of use to nobody who peeks."""

import math
from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgolf.coder import (
    FLUSH_BITS,
    PRECISION_BITS,
    NotNormalized,
    decode,
    decoded,
    encode,
    frequencies,
    quantization_loss_bits,
)
from pgolf.evaluate import Stepwise
from pgolf.evaluate.methods import METHODS, MethodConfig
from pgolf.evaluate.ngram import NgramConfig
from pgolf.evaluate.stateful import StatefulConfig
from pgolf.evaluate.tilt import TiltConfig
from pgolf.evaluate.ttt import TTTConfig
from tests.pgolf.evaluate.fakes import BOS, VOCAB, documents, random_model

WHOLE = 2**PRECISION_BITS


class Adaptive:
    """Random logits that depend on the whole past."""

    def __init__(self, vocab):
        self.vocab = vocab

    def reset(self):
        self.state = 0
        self.counts = np.ones(self.vocab)

    def update(self, token):
        self.state = (self.state * 31 + token + 1) % 2**31
        self.counts[token] += 1

    def log_probs(self):
        logits = np.random.default_rng(self.state).normal(0, 1, self.vocab)
        return torch.from_numpy(logits + np.log(self.counts)).log_softmax(-1)


class Fixed:
    def __init__(self, log_probs):
        self.given = torch.tensor(log_probs, dtype=torch.float64)

    def reset(self):
        pass

    def update(self, token):
        pass

    def log_probs(self):
        return self.given


class Peeking(Adaptive):
    """Knows the next token, as long as it has the stream."""

    def __init__(self, vocab, stream):
        super().__init__(vocab)
        self.stream = stream

    def reset(self):
        super().reset()
        self.at = 0

    def update(self, token):
        super().update(token)
        self.at += 1

    def log_probs(self):
        logits = super().log_probs()
        if self.stream is not None:
            logits[self.stream[self.at]] += 5
        return logits.log_softmax(-1)


def bits(nats_N):
    return nats_N.sum() / math.log(2)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=50).filter(lambda each: sum(each) > 1e-6))
@settings(max_examples=100, deadline=None)
def test_frequencies_keep_the_documented_bound_for_every_token(weights):
    probs_V = np.array(weights) / sum(weights)
    found_V = frequencies(probs_V)
    assert found_V.sum() == WHOLE
    assert found_V.min() >= 1
    exact = [Fraction(weight) for weight in weights]
    for weight, frequency in zip(exact, found_V, strict=True):
        share = weight / sum(exact) * (WHOLE - len(exact))
        assert frequency >= share - Fraction(1, 1000)  # of one part in 2^24: the float sum's own rounding


def test_the_coder_uses_our_integers_and_no_others():
    """Thousands of copies of one token measure what each of them costs."""
    rng = np.random.default_rng(3)
    probs_V = rng.dirichlet(np.full(1024, 0.1))
    predictor = Fixed(np.log(probs_V))
    for token in (int(probs_V.argmax()), int(probs_V.argmin()), 17):
        encoded = encode(predictor, np.full(4_001, token), 4_000)
        expected = -math.log2(frequencies(probs_V)[token] / WHOLE) * 4_000
        assert abs(8 * len(encoded.bitstream) - expected) <= FLUSH_BITS


def test_a_long_stream_is_within_a_thousandth_of_its_code_length():
    tokens = np.random.default_rng(1).integers(0, 1024, 2049)
    encoded = encode(Adaptive(1024), tokens, 2048)
    assert abs(8 * len(encoded.bitstream) - bits(encoded.nats_N)) <= 0.001 * bits(encoded.nats_N) + FLUSH_BITS


METHOD_CONFIG = MethodConfig(
    seq_len=32,
    stride=8,
    bos_id=BOS,
    stateful=StatefulConfig(block_tokens=16, segments=2),
    overlap_tokens=16,
    ttt=TTTConfig(chunk_tokens=32, epochs=1, lr=0.05),
    ttt_adamw=TTTConfig(chunk_tokens=32, epochs=1, optimizer="adamw", lr=0.001),
    ngram=NgramConfig(max_order=4, buckets=64),
    tilt=TiltConfig(min_order=2, max_order=4, threshold=0.0),
)


@pytest.mark.parametrize("name", METHODS)
def test_every_evaluation_method_decodes_from_its_past_alone(name):
    tokens = documents(65)

    def predictor():
        return Stepwise(METHODS[name](random_model(), METHOD_CONFIG), len(tokens) - 1)

    encoded = encode(predictor(), tokens, 64)
    assert decode(predictor(), encoded.bitstream, 64, int(tokens[0])) == tokens.tolist()
    assert (
        8 * len(encoded.bitstream) <= bits(encoded.nats_N) + 64 * quantization_loss_bits(VOCAB) + FLUSH_BITS
    )


def test_a_prefix_is_decoded_without_what_follows():
    tokens = documents(97)
    method = METHODS["ttt"](random_model(), METHOD_CONFIG)
    encoded = encode(Stepwise(method, 96), tokens, 50)
    assert decode(Stepwise(method, 96), encoded.bitstream, 50, int(tokens[0])) == tokens[:51].tolist()


def test_a_predictor_that_peeks_writes_bits_that_nobody_can_read():
    tokens = np.random.default_rng(2).integers(0, VOCAB, 301)
    encoded = encode(Peeking(VOCAB, tokens), tokens, 300)
    assert 8 * len(encoded.bitstream) < 300 * math.log2(VOCAB) / 2
    found = []
    with suppress(ValueError):
        found.extend(decoded(Peeking(VOCAB, None), encoded.bitstream, 300, int(tokens[0])))
    assert found[:10] != tokens[1:11].tolist()


@pytest.mark.parametrize("total", [1.01, 0.98, 0.0, math.inf, math.nan])
def test_what_does_not_sum_to_one_is_refused_with_its_position_and_its_sum(total):
    class Late(Adaptive):
        def log_probs(self):
            log_probs = super().log_probs()
            return (
                log_probs + (math.log(total) if total else -math.inf) if self.counts.sum() > 12 else log_probs
            )

    with pytest.raises(NotNormalized, match="position 7 sum to") as caught:
        encode(Late(5), [0] * 20, 19)
    assert caught.value.position == 7
    assert caught.value.total == pytest.approx(total, nan_ok=True)


def test_a_distribution_that_is_off_by_rounding_is_taken():
    off = Fixed(np.log(np.full(8, 1.0004 / 8)))
    assert decode(off, encode(off, [1, 2, 3], 2).bitstream, 2, 1) == [1, 2, 3]


def test_a_token_of_probability_zero_can_be_coded():
    certain = Fixed([0.0, -math.inf, -math.inf])
    encoded = encode(certain, [0, 2, 0, 1], 3)
    assert decode(certain, encoded.bitstream, 3, 0) == [0, 2, 0, 1]
    assert np.isinf(encoded.nats_N).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("tokens", "n", "message"),
    [
        ([1, 2], 2, "2 predictions of a stream of 2 tokens; expected 1 to 1"),
        ([1], 0, "0 predictions"),
        ([1, 9], 1, "token 9 at position 1 of a vocabulary of 8"),
    ],
)
def test_a_stream_that_does_not_fit_is_refused(tokens, n, message):
    with pytest.raises(ValueError, match=message):
        encode(Adaptive(8), tokens, n)


def test_a_cut_bitstream_and_a_wrong_shape_are_refused():
    with pytest.raises(ValueError, match="bitstream of 5 bytes; expected words of 4"):
        decode(Adaptive(8), b"12345", 1, 0)
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        encode(Fixed([[-1.0, -0.5]]), [0, 1], 1)
