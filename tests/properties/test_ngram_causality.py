"""N-gram mixers say the same of a token whatever follows it, sum to one, and score before they count."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgolf.evaluate.mixer import Facts, Mixer
from pgolf.evaluate.ngram import NgramConfig, NgramMixer
from pgolf.evaluate.tilt import TiltConfig, TiltMixer
from pgolf.testing import assert_causal, assert_normalized
from pgolf.testing.predictors import NumpyPredictor
from pgolf.testing.strategies import predictors, streams
from tests.properties.profile import assert_refuted, examples

V = 6
BUCKETS = st.sampled_from([1, 2, 7, 64, 4_194_304])
NGRAMS = st.builds(
    lambda low, more, buckets, escape, base: NgramConfig(low, low + more, buckets, escape, base, 0.5),
    st.integers(2, 6),
    st.integers(0, 20),
    BUCKETS,
    st.sampled_from([0.125, 1.0, 3.0]),
    st.sampled_from([0.0, 0.2, 0.5]),
)
TILTS = st.builds(
    lambda low, more, buckets, beta, threshold: TiltConfig(low, low + more, buckets, beta, threshold),
    st.integers(2, 6),
    st.integers(0, 14),
    BUCKETS,
    st.sampled_from([-1.0, 0.5, 2.625]),
    st.sampled_from([0.0, 0.6, 1.0]),
)
CASES = {"model": predictors(V), "tokens": streams(V, max_size=24)}
Config = NgramConfig | TiltConfig
Kind = Callable[[int, NgramConfig], Mixer]


def legal(vocab_size: int, config: Config) -> Mixer:
    return TiltMixer(vocab_size, config) if isinstance(config, TiltConfig) else NgramMixer(vocab_size, config)


class MixedSteps:
    """A mixer on a model, as a predictor: the step face."""

    def __init__(self, mixer: Mixer, model: NumpyPredictor) -> None:
        self.mixer, self.model = mixer, model

    def reset(self) -> None:
        self.mixer.reset()
        self.model.reset()

    def log_probs(self) -> torch.Tensor:
        return self.mixer.mix(torch.from_numpy(self.model.log_probs()))

    def update(self, token: int) -> None:
        self.model.update(token)
        self.mixer.update(token)


class AtOnce:
    """The same mixer on the same model, for a whole stream: the batch face."""

    def __init__(self, mixer: Mixer, model: NumpyPredictor, chunk: int | None = None) -> None:
        self.mixer, self.model, self.chunk = mixer, model, chunk

    def __call__(self, tokens: np.ndarray) -> torch.Tensor:
        self.model.reset()
        rows = []
        for token in tokens[:-1].tolist():
            self.model.update(token)
            rows.append(torch.from_numpy(self.model.log_probs()))
        log_probs_NV = torch.stack(rows)
        # Chunks as an evaluation has them: each is asked for once the stream up to its end is known.
        chunk = self.chunk or len(tokens)
        ends = [*range(chunk, len(tokens) - 1, chunk), len(tokens) - 1]
        nats, first = [], 0
        for end in ends:
            tokens_N = torch.from_numpy(tokens[: end + 1])
            said_NV, hint_N = log_probs_NV[:end], self.mixer.hints(tokens_N)
            if hint_N is not None:
                said_NV = self.mixer.hinted(said_NV, hint_N).log_softmax(-1)
            target_N = said_NV.gather(1, tokens_N[1:, None])[:, 0]
            facts = Facts(-target_N, -(said_NV.exp() * said_NV).sum(-1))
            nats.append(self.mixer.mixed_nats(tokens_N, facts)[first:end])
            first = end
        return torch.cat(nats)


def check_steps(kind: Kind, config: Config, model: NumpyPredictor, tokens: np.ndarray) -> None:
    steps = MixedSteps(kind(V, config), model)
    assert_causal(steps, tokens, V, flips=4)
    assert_normalized(steps, tokens, tolerance=1e-9)


def check_at_once(kind: Kind, config: Config, model: NumpyPredictor, tokens: np.ndarray) -> None:
    scorer = AtOnce(kind(V, config), model)
    assert_causal(scorer, tokens, V, flips=4)
    assert_normalized(scorer, tokens, V, positions=2, tolerance=1e-9)


def check_chunks(kind: Kind, config: Config, model: NumpyPredictor, tokens: np.ndarray, chunk: int) -> None:
    whole = AtOnce(kind(V, config), model)(tokens)
    assert torch.equal(AtOnce(kind(V, config), model, chunk)(tokens), whole)


def check_order_of_update(kind: Kind, config: Config, model: NumpyPredictor, tokens: np.ndarray) -> None:
    """Each token was scored from a table that did not hold it: the batch face is read-then-update, step by step."""
    mixer = kind(V, config)
    steps = MixedSteps(mixer, model)
    steps.reset()
    nats = []
    for position, token in enumerate(tokens.tolist()):
        if position:
            said = steps.log_probs()
            assert torch.equal(said, steps.log_probs()), "asking changed the answer"
            nats.append(-float(said[token]))
        steps.update(token)
    np.testing.assert_allclose(AtOnce(kind(V, config), model)(tokens), nats, rtol=0, atol=1e-9)


@examples(80)
@given(config=NGRAMS | TILTS, **CASES)
def test_the_steps_see_the_past_alone_and_sum_to_one(
    config: Config, model: NumpyPredictor, tokens: np.ndarray
) -> None:
    check_steps(legal, config, model, tokens)


@examples(40)
@given(config=NGRAMS | TILTS, **CASES)
def test_the_whole_stream_at_once_sees_the_past_alone_and_sums_to_one(
    config: Config, model: NumpyPredictor, tokens: np.ndarray
) -> None:
    check_at_once(legal, config, model, tokens)


@examples(80)
@given(config=NGRAMS | TILTS, **CASES, chunk=st.integers(1, 24))
def test_chunks_of_any_length_give_the_losses_of_the_whole(
    config: Config, model: NumpyPredictor, tokens: np.ndarray, chunk: int
) -> None:
    check_chunks(legal, config, model, tokens, chunk)


@examples(80)
@given(config=NGRAMS | TILTS, **CASES)
def test_a_token_is_scored_before_it_is_counted(
    config: Config, model: NumpyPredictor, tokens: np.ndarray
) -> None:
    check_order_of_update(legal, config, model, tokens)


class UpdateFirst(NgramMixer):
    """Counts each pair before it scores its second token."""

    def mixed_nats(self, tokens_N: torch.Tensor, facts: Facts) -> torch.Tensor:
        counts_VV, nats = np.zeros((V, V)), []
        for previous, token, nat in zip(tokens_N[:-1], tokens_N[1:], facts.nats_N.tolist(), strict=True):
            counts_VV[previous, token] += 1
            share = (counts_VV[previous, token] + math.exp(-nat)) / (counts_VV[previous].sum() + 1)
            nats.append(-math.log(share))
        return torch.tensor(nats)


class TwoTables(NgramMixer):
    """The contest's hashed caches: contexts in one table, contexts with their token in another (#886)."""

    def mixed_nats(self, tokens_N: torch.Tensor, facts: Facts) -> torch.Tensor:
        contexts, pairs = Counter(), Counter()
        stream, nats = tokens_N.tolist(), []
        for i in range(len(stream) - 1):
            context, pair = stream[i] % 2, (stream[i] * 31 + stream[i + 1]) % 2
            ratio = min(pairs[pair], contexts[context]) / max(contexts[context], 1)
            nats.append(-np.log(0.5 * float((-facts.nats_N[i]).exp()) + 0.5 * ratio))
            contexts[context] += 1
            pairs[pair] += 1
        return torch.tensor(nats)


class WholeStreamFirst(NgramMixer):
    """Counts the whole stream, and then scores it: two passes."""

    def mixed_nats(self, tokens_N: torch.Tensor, facts: Facts) -> torch.Tensor:
        seen_V = torch.bincount(tokens_N, minlength=V).double() + 1
        share_N = (seen_V / seen_V.sum())[tokens_N[1:]]
        return -(0.5 * (-facts.nats_N).exp() + 0.5 * share_N).log()


class RemembersTheLastStream(NgramMixer):
    """A reset that forgets to forget."""

    def reset(self) -> None:
        if not hasattr(self, "began"):
            self.began = True
            super().reset()


class TakesWhatIsLikelier(NgramMixer):
    """The better of the model and the counts, token by token."""

    def mix(self, log_probs_V: torch.Tensor) -> torch.Tensor:
        return torch.maximum(log_probs_V, super().mix(log_probs_V))


class SlightlyOverOne(NgramMixer):
    """Every probability times 1.001."""

    def mix(self, log_probs_V: torch.Tensor) -> torch.Tensor:
        return super().mix(log_probs_V) + 0.001


class CountsItsGuess(NgramMixer):
    """Whenever it is asked, it goes on as if its guess had come."""

    def mix(self, log_probs_V: torch.Tensor) -> torch.Tensor:
        said_V = super().mix(log_probs_V)
        self.update(int(said_V.argmax()))
        return said_V


class KnowsTheLength(NgramMixer):
    """A weight that depends on how long the stream is in the end."""

    def mixed_nats(self, tokens_N: torch.Tensor, facts: Facts) -> torch.Tensor:
        return super().mixed_nats(tokens_N, facts) + 1.0 / len(tokens_N)


@pytest.mark.mutant
@pytest.mark.parametrize("kind", [RemembersTheLastStream, TakesWhatIsLikelier, SlightlyOverOne])
def test_illegal_steps_are_caught(kind: Kind) -> None:
    assert_refuted(lambda **case: check_steps(kind, **case), config=NGRAMS, **CASES)


@pytest.mark.mutant
@pytest.mark.parametrize("kind", [UpdateFirst, TwoTables, WholeStreamFirst])
def test_illegal_batches_are_caught(kind: Kind) -> None:
    assert_refuted(lambda **case: check_at_once(kind, **case), config=NGRAMS, **CASES)


@pytest.mark.mutant
def test_a_score_that_knows_the_length_is_caught_by_its_chunks() -> None:
    assert_refuted(
        lambda **case: check_chunks(KnowsTheLength, **case),
        config=NGRAMS,
        **CASES,
        chunk=st.integers(1, 24),
    )


@pytest.mark.mutant
@pytest.mark.parametrize("kind", [UpdateFirst, CountsItsGuess])
def test_another_order_of_update_is_caught(kind: Kind) -> None:
    assert_refuted(lambda **case: check_order_of_update(kind, **case), config=NGRAMS, **CASES)
