"""The public assertions: what passes, what fails, and what they say."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgolf.coder import decode, encode
from pgolf.testing import (
    NotCausal,
    assert_causal,
    assert_decodes,
    assert_normalized,
    assert_scores_once,
)
from pgolf.testing.predictors import Arbitrary, Counting
from pgolf.testing.strategies import predictors, streams, tokenizers, window_plans

V = 5
TOKENS = np.array([0, 3, 1, 4, 1, 0, 2, 1, 3, 4])


def uniform(tokens):
    return np.full(len(tokens) - 1, np.log(V))


def sees(offset, weight=0.5):
    """The loss of token t + 1 depends on token t + 1 + offset."""

    def score(tokens):
        later = np.append(tokens[1:], np.zeros(offset, dtype=int))[offset:]
        return np.log(V) + weight * later[: len(tokens) - 1]

    return score


@pytest.mark.parametrize("offset", [1, 2, 5])
@pytest.mark.parametrize("scored", range(1, 5))
def test_a_score_that_sees_one_later_token_is_caught_where_it_looks(offset, scored):
    def score(tokens):
        losses = uniform(tokens)
        losses[scored - 1] = sees(offset)(tokens)[scored - 1]
        return losses

    with pytest.raises(NotCausal) as caught:
        assert_causal(score, TOKENS, V)
    found = caught.value
    assert (found.scored, found.changed) == (scored, scored + offset)
    assert np.flatnonzero(found.tokens != found.other).tolist() == [found.changed]
    moved = abs(score(found.tokens) - score(found.other))[scored - 1]
    assert found.moved_nats == pytest.approx(moved)
    assert f"the score of token {scored} depends on token {scored + offset}: it moves by" in str(found)


def test_a_score_may_know_the_past_and_its_own_token():
    assert_causal(sees(0), TOKENS, V)
    assert_causal(lambda tokens: np.cumsum(tokens)[1:] * 0.1, TOKENS, V)


def test_a_move_within_the_tolerance_is_none():
    assert_causal(sees(1, weight=1e-6), TOKENS, V, tolerance_nats=1e-5)
    with pytest.raises(NotCausal):
        assert_causal(sees(1, weight=1e-6), TOKENS, V, tolerance_nats=1e-7)


def test_a_leak_too_thin_for_a_single_token_is_a_block():
    def score(tokens):
        return uniform(tokens) + 0.01 * (tokens != TOKENS)[2:].sum()

    with pytest.raises(NotCausal, match="when the tokens behind it are others and token") as caught:
        assert_causal(score, TOKENS, V, tolerance_nats=0.05)
    found = caught.value
    assert abs(score(found.tokens) - score(found.other))[0] == pytest.approx(found.moved_nats)
    assert found.moved_nats > 0.05


def test_an_infinite_score_that_becomes_finite_has_moved():
    def score(tokens):
        return np.where(np.append(tokens[2:], 0) == 3, np.inf, 1.0)

    with pytest.raises(NotCausal, match=r"moves by inf nats \(from"):
        assert_causal(score, TOKENS, V)


def test_fewer_flips_are_spread_over_the_stream():
    seen = []

    def score(tokens):
        seen.append(int((tokens != TOKENS).argmax()) if (tokens != TOKENS).any() else None)
        return uniform(tokens)

    assert_causal(score, TOKENS, V, flips=3)
    assert seen == [None, None, 2, 6, 9]


def test_a_scorer_gets_a_stream_of_its_own():
    def score(tokens):
        tokens[:] = 0
        return uniform(tokens)

    before = TOKENS.copy()
    assert_causal(score, TOKENS, V)
    assert np.array_equal(TOKENS, before)


def test_noise_is_told_from_a_leak():
    rng = np.random.default_rng(0)
    with pytest.raises(AssertionError, match=r"two runs over one stream differ by .* nats at token \d+"):
        assert_causal(lambda tokens: rng.random(len(tokens) - 1), TOKENS, V)


def test_a_predictor_that_keeps_something_over_a_reset_is_caught():
    class Keeps(Counting):
        def reset(self):
            self._past = []

    with pytest.raises(AssertionError, match="two runs over one stream differ"):
        assert_causal(Keeps(V), TOKENS, V)


def test_a_predictor_that_remembers_the_stream_before_is_caught():
    """Both runs over the stream agree; the run over another one does not."""

    class Recalls(Counting):
        last = 0

        def reset(self):
            self.shown = {4: 1.0}.get(self.last, 0.0)
            super().reset()

        def update(self, token):
            self.last = token
            super().update(token)

        def log_probs(self):
            said_V = super().log_probs()
            said_V[0] += self.shown
            return said_V - np.log(np.exp(said_V).sum())

    with pytest.raises(AssertionError, match=r"reset\(\) must forget everything"):
        assert_causal(Recalls(V), TOKENS, V)


@given(predictor=predictors(V), tokens=streams(V, max_size=20))
def test_every_drawn_predictor_is_legal(predictor, tokens):
    assert_causal(predictor, tokens, V, flips=3)
    assert_normalized(predictor, tokens, tolerance=1e-9)


def test_torch_losses_are_taken_and_torch_predictors_too():
    class InTorch(Arbitrary):
        def log_probs(self):
            return torch.from_numpy(super().log_probs()).float()

    assert_causal(lambda tokens: torch.full((len(tokens) - 1,), 2.0, requires_grad=True), TOKENS, V)
    assert_causal(InTorch(V), TOKENS, V)
    assert_normalized(InTorch(V), TOKENS)
    assert_decodes(lambda: InTorch(V), TOKENS)


@pytest.mark.parametrize("excess", [0.001, -0.001])
def test_a_sum_of_another_size_is_named(excess):
    def score(tokens):
        return uniform(tokens) - np.log1p(excess)

    with pytest.raises(AssertionError, match=rf"candidates for token 1 sum to {1 + excess:g}, expected 1"):
        assert_normalized(score, TOKENS, V)
    with pytest.raises(AssertionError, match="within 1e-05"):
        assert_normalized(score, TOKENS, V)
    assert_normalized(score, TOKENS, V, tolerance=0.01)


def test_a_gate_on_the_realised_token_does_not_sum_to_one():
    def score(tokens):
        gate = np.where(tokens[1:] == 2, 0.9, 0.5)
        return -np.log(gate / V + (1 - gate) * (tokens[1:] == 0))

    with pytest.raises(AssertionError, match="sum to"):
        assert_normalized(score, TOKENS, V)


def test_windows_that_cover_the_stream_pass_in_any_order():
    assert_scores_once([range(5, 9), [0, 2, 4], np.array([1, 3])], 9)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([range(4), range(3, 8)], "position 3 is scored twice: by part 0 and by part 1"),
        ([range(3), range(4, 8)], "1 of 8 positions are not scored, the first of them 3"),
        ([range(9)], "part 0 scores position 8; expected 0 to 7"),
        ([[-1]], "part 0 scores position -1"),
        ([[2, 2]], "position 2 is scored twice: by part 0 and by part 0"),
    ],
)
def test_windows_that_do_not_are_named(parts, message):
    with pytest.raises(AssertionError, match=message):
        assert_scores_once(parts, 8)


def test_a_stream_that_cannot_be_decoded_is_named_with_its_token():
    copies = iter([Arbitrary(V, seed=1), Arbitrary(V, seed=2)])
    with pytest.raises(
        AssertionError, match=r"token \d was decoded as \d and is \d: the copy that read the bits"
    ):
        assert_decodes(lambda: next(copies), TOKENS)


def test_a_predictor_that_does_not_sum_to_one_is_no_decoder():
    class Over(Arbitrary):
        def log_probs(self):
            return super().log_probs() + 0.1

    with pytest.raises(AssertionError, match="position 0 sum to 1.1"):
        assert_decodes(lambda: Over(V), TOKENS)


@given(predictor=predictors(V), tokens=streams(V, max_size=12))
def test_what_decodes_passes(predictor, tokens):
    assert_decodes(lambda: predictor, tokens)
    bitstream = encode(predictor, tokens, len(tokens) - 1).bitstream
    assert decode(predictor, bitstream, len(tokens) - 1, int(tokens[0])) == tokens.tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: assert_causal(uniform, [1], V),
            r"shape \(1,\) and dtype int64; expected a row of at least two",
        ),
        (lambda: assert_causal(uniform, [0.5, 1.0], V), "dtype float64"),
        (lambda: assert_causal(uniform, [0, 5], V), "tokens 0 to 5 of a vocabulary of 5; expected 0 to 4"),
        (lambda: assert_causal(uniform, [0, 0], 1), "at least two"),
        (lambda: assert_normalized(uniform, TOKENS), "needs vocab_size"),
    ],
)
def test_what_is_no_test_is_an_error_of_its_own(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (lambda tokens: np.zeros(len(tokens)), r"losses of shape \(10,\) for 10 tokens; expected \(9,\)"),
        (lambda tokens: np.append(np.zeros(len(tokens) - 2), np.nan), "the loss of token 9 is NaN"),
    ],
)
def test_what_is_no_score_is_named(score, message):
    with pytest.raises(AssertionError, match=message):
        assert_causal(score, TOKENS, V)


def test_what_is_no_distribution_is_named():
    class Matrix(Arbitrary):
        def log_probs(self):
            return super().log_probs()[None]

    class Broken(Arbitrary):
        def log_probs(self):
            return np.full(V, np.nan)

    with pytest.raises(AssertionError, match=r"log_probs\(\) of shape \(1, 5\) for token 1; expected \(V,\)"):
        assert_normalized(Matrix(V), TOKENS)
    with pytest.raises(AssertionError, match="a log-probability for token 1 is NaN"):
        assert_normalized(Broken(V), TOKENS)


@given(streams(3, min_size=4, max_size=9))
def test_streams_keep_to_their_limits(tokens):
    assert tokens.dtype == np.int64
    assert 4 <= len(tokens) <= 9
    assert 0 <= tokens.min() <= tokens.max() < 3


@given(window_plans(max_predictions=20, max_seq_len=8, min_seq_len=2))
def test_window_plans_keep_to_theirs(plan):
    assert 1 <= plan.predictions <= 20
    assert 2 <= plan.seq_len <= 8
    assert 1 <= plan.stride <= plan.seq_len


@given(tokenizer=tokenizers(), data=st.data())
def test_tokenizers_read_back_what_they_wrote(tokenizer, data):
    text = data.draw(st.text("abc d", min_size=1).map(lambda each: " ".join(each.split()) or "a"))
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_assertions_load_without_torch_and_hypothesis():
    code = (
        "import sys, pgolf.testing; print(sorted({'torch', 'hypothesis', 'constriction'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"
