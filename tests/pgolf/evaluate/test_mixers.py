"""Mixers against their formulas, written out by hand; tests/properties has what holds of any stream."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgolf.evaluate.mixer import Facts
from pgolf.evaluate.ngram import NgramConfig, NgramMixer
from pgolf.evaluate.tilt import TiltConfig, TiltMixer

V = 7
streams = st.lists(st.integers(0, V - 1), min_size=2, max_size=50)


def model_says(tokens, seed=0):
    """Log-probabilities at each position of a stream, of a "model" that is random."""
    logits = torch.from_numpy(np.random.default_rng(seed).normal(0, 2, (len(tokens) - 1, V)))
    return logits.log_softmax(-1)


def by_steps(mixer, tokens, log_probs_NV):
    mixer.reset()
    mixer.update(tokens[0])
    mixed = []
    for log_probs_V, token in zip(log_probs_NV, tokens[1:], strict=True):
        mixed.append(mixer.mix(log_probs_V))
        mixer.update(token)
    return torch.stack(mixed)


def at_once(mixer, tokens, log_probs_NV):
    tokens_N = torch.tensor(tokens)
    hint_N = mixer.hints(tokens_N)
    if hint_N is not None:
        log_probs_NV = mixer.hinted(log_probs_NV, hint_N).log_softmax(-1)
    facts = Facts(
        -log_probs_NV.gather(1, tokens_N[1:, None])[:, 0], -(log_probs_NV.exp() * log_probs_NV).sum(-1)
    )
    return -mixer.mixed_nats(tokens_N, facts)


@given(tokens=streams)
def test_the_ngram_mixture_is_witten_bell_by_hand(tokens):
    """Contexts as tuples, counts by a walk over the prefix, and the recursion as it is written."""
    config = NgramConfig(max_order=5, escape=0.5)
    log_probs_NV = model_says(tokens)
    mixed_NV = by_steps(NgramMixer(V, config), tokens, log_probs_NV)

    def smoothed(prefix, order, token, model_V):
        if order == 1:
            return float(model_V[token])
        context = prefix[len(prefix) - order + 1 :]
        after = Counter(
            prefix[i + order - 1]
            for i in range(len(prefix) - order + 1)
            if prefix[i : i + order - 1] == context and len(context) == order - 1
        )
        shorter = smoothed(prefix, order - 1, token, model_V)
        if not after:
            return shorter
        prior = 0.5 * len(after)
        return (after[token] + prior * shorter) / (after.total() + prior)

    for t in range(len(tokens) - 1):
        model_V = log_probs_NV[t].exp()
        entropy = -sum(float(p) * math.log(p) for p in model_V)
        alpha = 0.20 + 0.55 / (1 + math.exp(-2 * (entropy - 2.5)))
        for token in range(V):
            expected = (1 - alpha) * float(model_V[token]) + alpha * smoothed(
                tokens[: t + 1], 5, token, model_V
            )
            assert float(mixed_NV[t, token].exp()) == pytest.approx(expected, abs=1e-12)


@given(tokens=streams)
def test_the_hint_is_the_commonest_successor_of_the_longest_sure_context(tokens):
    config = TiltConfig(min_order=2, max_order=5, threshold=0.6)
    hints = TiltMixer(V, config).hints(torch.tensor(tokens)).tolist()
    for t, hint in enumerate(hints):
        prefix = tokens[: t + 1]
        expected = -1
        for order in range(5, 1, -1):
            after, best = Counter(), -1
            for i in range(len(prefix) - order + 1):
                if (
                    len(prefix) >= order - 1
                    and prefix[i : i + order - 1] == prefix[len(prefix) - order + 1 :]
                ):
                    after[prefix[i + order - 1]] += 1
                    if best < 0 or after[prefix[i + order - 1]] > after[best]:
                        best = prefix[i + order - 1]
            if best >= 0 and after[best] >= 0.6 * after.total():
                expected = best
                break
        assert hint == expected


def test_one_bucket_merges_all_contexts_and_gains_nothing_from_it():
    """The contest's two-table caches gain from collisions (#886); a bucket of exact pairs cannot."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, V, 3000).tolist()
    uniform_NV = torch.full((2999, V), -math.log(V), dtype=torch.float64)
    for buckets in (1, 64, 4_194_304):
        mixer = NgramMixer(V, NgramConfig(max_order=6, buckets=buckets))
        gain = at_once(mixer, tokens, uniform_NV).sum() + 2999 * math.log(V)
        assert gain < 0


def test_a_repeated_passage_becomes_cheap():
    tokens = np.random.default_rng(1).integers(0, V, 40).tolist() * 3
    uniform_NV = torch.full((119, V), -math.log(V), dtype=torch.float64)
    for mixer in (
        NgramMixer(V, NgramConfig(alpha_base=0.75, alpha_range=0.0)),
        TiltMixer(V, TiltConfig(min_order=4)),
    ):
        mixed_N = at_once(mixer, tokens, uniform_NV)
        assert mixed_N[80:].mean() > mixed_N[:40].mean() + 0.5


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (NgramConfig, {"min_order": 1}, "orders 1 to 22"),
        (NgramConfig, {"max_order": 1}, "orders 2 to 1"),
        (NgramConfig, {"buckets": 0}, "buckets must be at least 1, got 0"),
        (NgramConfig, {"escape": 0.0}, "escape must be positive, got 0.0"),
        (NgramConfig, {"alpha_range": 0.9}, "alpha runs from 0.2 to 1.1"),
        (TiltConfig, {"min_order": 17}, "orders 17 to 16"),
        (TiltConfig, {"threshold": 1.5}, "threshold must be in"),
        (TiltConfig, {"min_count": 0}, "min_count must be at least 1, got"),
    ],
)
def test_bad_settings_are_refused(config, changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)
