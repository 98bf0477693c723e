"""Evaluators agree with losses computed by hand, and no score depends on a later token."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pgolf.bytes import ByteTable
from pgolf.evaluate import TTTConfig, evaluate, evaluate_plain, evaluate_sliding, evaluate_ttt
from pgolf.evaluate.score import score_stream
from pgolf.evaluate.ttt import ScoreFirstTTT
from pgolf.model import GPT, GPTConfig

VOCAB = 48
TABLE = ByteTable(
    base_bytes_V=np.arange(VOCAB, dtype=np.int64) % 4 + 1,
    has_leading_space_V=np.arange(VOCAB) % 3 == 0,
    is_boundary_V=np.arange(VOCAB) < 4,
)
TTT = TTTConfig(chunk_tokens=20, epochs=2, lr=0.05, batch_seqs=2)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=VOCAB, num_layers=2, model_dim=16, num_heads=2, num_kv_heads=1))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def stream(length=90, seed=0):
    return np.random.default_rng(seed).integers(0, VOCAB, length).astype(np.uint16)


METHODS = {
    "plain": lambda model, tokens: evaluate_plain(model, tokens, TABLE, seq_len=16),
    "sliding": lambda model, tokens: evaluate_sliding(
        model, tokens, TABLE, seq_len=16, stride=5, batch_windows=4
    ),
    "ttt-sgd": lambda model, tokens: evaluate_ttt(model, tokens, TABLE, seq_len=16, stride=8, config=TTT),
    "ttt-adamw": lambda model, tokens: evaluate_ttt(
        model, tokens, TABLE, seq_len=16, stride=16, config=TTTConfig(20, 1, "adamw", 0.01)
    ),
}


@pytest.fixture(params=list(METHODS))
def method(request):
    return METHODS[request.param]


@torch.no_grad()
def nats_by_hand(model, tokens, position, context):
    """The loss of tokens[position + 1] given `context` inputs up to tokens[position]."""
    ids = torch.tensor(tokens[position + 1 - context : position + 1].astype(np.int64))
    log_p = F.log_softmax(model(ids[None])[0, -1].double(), dim=-1)
    return -float(log_p[int(tokens[position + 1])])


def test_plain_losses_by_hand(model):
    tokens = stream()
    evaluation = evaluate_plain(model, tokens, TABLE, seq_len=16)
    expected = [nats_by_hand(model, tokens, i, i % 16 + 1) for i in range(80)]
    expected += [
        nats_by_hand(model, tokens, i, i - 72) for i in range(80, 89)
    ]  # the last window starts at 73
    np.testing.assert_allclose(evaluation.nats_N, expected, atol=1e-5)


def test_sliding_gives_each_token_the_longest_context_of_its_window(model):
    tokens = stream()
    evaluation = evaluate_sliding(model, tokens, TABLE, seq_len=16, stride=1)
    expected = [nats_by_hand(model, tokens, i, min(i + 1, 16)) for i in range(89)]
    np.testing.assert_allclose(evaluation.nats_N, expected, atol=1e-5)


def test_the_score_is_the_sum_of_its_tokens(model, method):
    tokens = stream()
    evaluation = method(model, tokens)
    score = evaluation.score
    assert score.tokens == len(tokens) - 1 == len(evaluation.nats_N)
    assert score.val_loss == pytest.approx(evaluation.nats_N.astype(np.float64).mean(), rel=1e-12)
    spaces = sum(t % 3 == 0 and p >= 4 for p, t in zip(tokens[:-1], tokens[1:], strict=True))
    assert score.bytes == sum(t % 4 + 1 for t in tokens[1:].tolist()) + spaces
    assert score.val_bpb == pytest.approx(score.val_loss * score.tokens / math.log(2) / score.bytes)


@pytest.mark.parametrize("flip_from", [1, 17, 40, 61, 89])
def test_a_later_token_never_changes_an_earlier_score(model, method, flip_from):
    tokens = stream()
    flipped = tokens.copy()
    flipped[flip_from:] = (flipped[flip_from:] + 7) % VOCAB
    before, after = method(model, tokens).nats_N, method(model, flipped).nats_N
    assert np.array_equal(before[: flip_from - 1], after[: flip_from - 1])
    assert not np.array_equal(before[flip_from - 1 :], after[flip_from - 1 :])


def test_a_run_is_repeatable_and_leaves_the_model_alone(model, method):
    weights = [parameter.clone() for parameter in model.parameters()]
    tokens = stream()
    assert np.array_equal(method(model, tokens).nats_N, method(model, tokens).nats_N)
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))


def test_ttt_scores_its_first_chunk_like_the_fixed_model_and_later_ones_not(model):
    tokens = stream()
    fixed = evaluate_sliding(model, tokens, TABLE, seq_len=16, stride=8).nats_N
    adapted = evaluate_ttt(model, tokens, TABLE, seq_len=16, stride=8, config=TTT).nats_N
    np.testing.assert_allclose(adapted[:24], fixed[:24], atol=1e-6)
    assert abs(adapted[24:] - fixed[24:]).max() > 1e-3


def test_ttt_learns_a_stream_that_repeats(model):
    tokens = np.tile(stream(16), 12)
    fixed = evaluate_sliding(model, tokens, TABLE, seq_len=16, stride=16).score.val_loss
    adapted = evaluate_ttt(
        model, tokens, TABLE, seq_len=16, stride=16, config=TTTConfig(16, 4, "adamw", 0.01)
    ).score.val_loss
    assert adapted < fixed - 0.5


def test_frozen_blocks_stay_and_the_others_learn(model):
    ttt = ScoreFirstTTT(model, 16, 16, TTTConfig(20, 1, "adamw", 0.01, frozen_blocks=1))
    evaluate(ttt, stream(), TABLE)
    moved = {
        name
        for (name, before), after in zip(model.named_parameters(), ttt.model.parameters(), strict=True)
        if not torch.equal(before, after)
    }
    assert moved == {name for name, _ in model.named_parameters() if not name.startswith("blocks.0.")}
    with pytest.raises(ValueError, match="frozen_blocks 3 is more than the model's 2 blocks"):
        ScoreFirstTTT(model, 16, 16, TTTConfig(frozen_blocks=3))


def test_phased_ttt_scores_with_base_weights_up_to_its_phase(model):
    tokens = stream()
    fixed = evaluate_sliding(model, tokens, TABLE, seq_len=16, stride=8).nats_N
    config = TTTConfig(epochs=2, lr=0.05, phases=(0.5,))
    adapted = evaluate_ttt(model, tokens, TABLE, seq_len=16, stride=8, config=config).nats_N
    np.testing.assert_allclose(adapted[:48], fixed[:48], atol=1e-6)
    assert abs(adapted[48:] - fixed[48:]).min() > 0


@settings(max_examples=20, deadline=None)
@given(length=st.integers(2, 60), stride=st.integers(1, 12), chunk=st.integers(1, 40))
def test_ttt_scores_every_token_once_for_any_shape(model, length, stride, chunk):
    config = TTTConfig(chunk_tokens=chunk, epochs=1, lr=0.01)
    evaluation = evaluate_ttt(model, stream(length), TABLE, seq_len=12, stride=stride, config=config)
    assert np.isfinite(evaluation.nats_N).all()
    assert evaluation.score.tokens == length - 1


def test_a_stream_that_cannot_be_scored_is_refused(model):
    with pytest.raises(ValueError, match="nothing to predict"):
        evaluate_plain(model, stream(1), TABLE, seq_len=16)
    with pytest.raises(ValueError, match="expected one less"):
        score_stream(np.ones(5), stream(5), TABLE)
    with pytest.raises(ValueError, match="position 1 is nan"):
        score_stream(np.array([1.0, np.nan]), stream(3), TABLE)
    silent = ByteTable(np.zeros(VOCAB, np.int64), np.zeros(VOCAB, bool), np.ones(VOCAB, bool))
    with pytest.raises(ValueError, match="no byte"):
        score_stream(np.ones(4), stream(5), silent)


@pytest.mark.parametrize(
    "changes",
    [
        {"chunk_tokens": 0},
        {"epochs": 0},
        {"lr": -1.0},
        {"momentum": 1.0},
        {"optimizer": "lbfgs"},
        {"frozen_blocks": -1},
        {"phases": (0.5, 0.2)},
        {"phases": (1.0,)},
    ],
)
def test_bad_ttt_settings_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        TTTConfig(**changes)
