"""The online bias takes the step that finite differences of the committed chunk's loss ask for."""

import numpy as np
import pytest
import torch

from pgolf.evaluate import TTTConfig, evaluate, evaluate_plain
from pgolf.evaluate.bias import BiasConfig, OnlineBias
from pgolf.evaluate.sliding import Sliding
from pgolf.evaluate.ttt import ScoreFirstTTT
from tests.pgolf.evaluate.fakes import TABLE, VOCAB, documents, random_model


@pytest.fixture(scope="module")
def model():
    return random_model()


@torch.no_grad()
def test_each_step_is_the_gradient_of_the_chunk_before(model):
    tokens = torch.from_numpy(documents(97).astype(np.int64))
    logits = torch.cat([model(tokens[None, i : i + 16])[0] for i in range(0, 96, 16)]).double()
    bias, expected = torch.zeros(VOCAB, dtype=torch.float64), []

    def nats(chunk, b):
        log_p = (logits[chunk * 32 : chunk * 32 + 32] + b).log_softmax(-1)
        return -log_p.gather(1, tokens[chunk * 32 + 1 : chunk * 32 + 33, None])[:, 0]

    for chunk in range(3):
        expected += nats(chunk, bias).tolist()
        nudges = torch.eye(VOCAB, dtype=torch.float64) * 1e-6
        slope = [(nats(chunk, bias + n) - nats(chunk, bias - n)).mean() / 2e-6 for n in nudges]
        bias = bias - 2.0 * torch.stack(slope)
    method = OnlineBias(Sliding(model, 16, 16), VOCAB, BiasConfig(chunk_tokens=32, lr=2.0))
    found = evaluate(method, tokens.numpy(), TABLE, batch_windows=1).nats_N
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_bias_learns_which_tokens_are_common(model):
    tokens = np.random.default_rng(0).integers(4, 8, 300).astype(np.uint16)
    method = OnlineBias(Sliding(model, 16, 16), VOCAB, BiasConfig(chunk_tokens=16, lr=2.0))
    fixed = evaluate_plain(model, tokens, TABLE, seq_len=16).score.val_loss
    assert evaluate(method, tokens, TABLE).score.val_loss < fixed - 0.5


def test_a_bias_over_a_method_that_learns_is_refused(model):
    inner = ScoreFirstTTT(model, 16, 16, TTTConfig(chunk_tokens=16))
    with pytest.raises(ValueError, match="ttt has chunks of its own"):
        evaluate(OnlineBias(inner, VOCAB), documents(64), TABLE)


@pytest.mark.parametrize("changes", [{"chunk_tokens": 0}, {"lr": -1.0}])
def test_bad_bias_settings_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        BiasConfig(**changes)
