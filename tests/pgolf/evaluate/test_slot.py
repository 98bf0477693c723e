"""Context-only SLOT: each window by itself, from what is scored, as a loop written by hand has it."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pgolf.evaluate import evaluate, evaluate_sliding
from pgolf.evaluate.slot import ContextSLOT, SLOTConfig
from tests.pgolf.evaluate.fakes import TABLE, VOCAB, documents, random_model

CONFIG = SLOTConfig(steps=4, lr=0.1, lr_min=0.01, beta1=0.6, beta2=0.5, weight_decay=0.1, logit_bias=True)


@pytest.fixture(scope="module")
def model():
    return random_model()


def fit_by_hand(model, inputs_T, context):
    """AdamW as its paper has it, on one window, with the gradient of a mean over its context."""
    hidden = model.hidden_states(inputs_T[None])[0].detach()
    values = {"delta": torch.zeros(16), "bias": torch.zeros(VOCAB)}
    first = {name: torch.zeros_like(value) for name, value in values.items()}
    second = {name: torch.zeros_like(value) for name, value in values.items()}
    for step in range(4):
        lr = 0.01 + 0.09 * (1 + math.cos(math.pi * step / 3)) / 2
        leaves = {name: value.clone().requires_grad_() for name, value in values.items()}
        logits = model.head(hidden[None, :context] + leaves["delta"])[0] + leaves["bias"]
        F.cross_entropy(logits, inputs_T[1 : context + 1]).backward()
        for name, leaf in leaves.items():
            first[name] = 0.6 * first[name] + 0.4 * leaf.grad
            second[name] = 0.5 * second[name] + 0.5 * leaf.grad**2
            mean, square = first[name] / (1 - 0.6 ** (step + 1)), second[name] / (1 - 0.5 ** (step + 1))
            values[name] = values[name] * (1 - lr * 0.1) - lr * mean / (square.sqrt() + 1e-5)
    return values


def test_each_row_is_fitted_as_if_it_were_alone(model):
    slot = ContextSLOT(model, 16, 8, CONFIG)
    inputs_BT = torch.from_numpy(documents(80).astype(np.int64)).view(5, 16)
    context = [8, 0, 15, 3, 8]
    delta, bias = slot.fit(model.hidden_states(inputs_BT), inputs_BT, context)
    for row in (0, 2, 3, 4):
        expected = fit_by_hand(model, inputs_BT[row], context[row])
        torch.testing.assert_close(delta[row, 0], expected["delta"], atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(bias[row, 0], expected["bias"], atol=1e-4, rtol=1e-3)
    assert not delta[1].any()
    assert not bias[1].any()


def test_a_window_without_context_is_scored_as_the_model_does(model):
    tokens = documents(60)
    adapted = evaluate(ContextSLOT(model, 16, 8, CONFIG), tokens, TABLE).nats_N
    fixed = evaluate_sliding(model, tokens, TABLE, seq_len=16, stride=8).nats_N
    np.testing.assert_allclose(adapted[:16], fixed[:16], atol=1e-6)
    assert abs(adapted[16:] - fixed[16:]).max() > 1e-2


@pytest.mark.parametrize("flip_from", range(18, 60, 5))
def test_flipping_tokens_of_one_window_leaves_the_other_rows_of_its_batch(model, flip_from):
    slot = ContextSLOT(model, 16, 4, CONFIG)
    tokens = documents(60)
    flipped = tokens.copy()
    flipped[flip_from:] = (flipped[flip_from:] + 5) % VOCAB
    before = evaluate(slot, tokens, TABLE, batch_windows=64).nats_N
    after = evaluate(slot, flipped, TABLE, batch_windows=64).nats_N
    assert np.array_equal(before[: flip_from - 1], after[: flip_from - 1])


def test_fitting_helps_where_a_window_differs_from_what_the_model_expects(model):
    tokens = np.tile(np.array([5, 9, 14, 9], dtype=np.uint16), 40)
    fixed = evaluate_sliding(model, tokens, TABLE, seq_len=32, stride=8).score.val_loss
    slot = ContextSLOT(model, 32, 8, SLOTConfig(steps=16, lr=0.3, lr_min=0.01))
    assert evaluate(slot, tokens, TABLE).score.val_loss < fixed - 0.5


@pytest.mark.parametrize(
    "changes", [{"steps": 0}, {"lr_min": 1.0}, {"beta2": 1.0}, {"eps": 0.0}, {"weight_decay": -1.0}]
)
def test_bad_slot_settings_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        SLOTConfig(**changes)
