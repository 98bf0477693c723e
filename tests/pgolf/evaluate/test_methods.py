"""Every method: the batched driver and the one that has never seen a later token give the same losses."""

import numpy as np
import pytest
import torch

from pgolf.evaluate import Stepwise, TTTConfig, evaluate
from pgolf.evaluate.bias import BiasConfig
from pgolf.evaluate.doc_lora import DocLoRAConfig
from pgolf.evaluate.methods import METHODS, MethodConfig
from pgolf.evaluate.ngram import NgramConfig
from pgolf.evaluate.slot import SLOTConfig
from pgolf.evaluate.stateful import StatefulConfig
from pgolf.evaluate.tilt import TiltConfig
from tests.pgolf.evaluate.fakes import BOS, TABLE, VOCAB, CarryingGPT, documents, random_model

CONFIG = MethodConfig(
    seq_len=16,
    stride=8,
    bos_id=BOS,
    ttt=TTTConfig(chunk_tokens=40, epochs=1, lr=0.05, batch_seqs=2),
    ttt_adamw=TTTConfig(chunk_tokens=64, epochs=1, optimizer="adamw", lr=0.01, batch_seqs=2),
    stateful=StatefulConfig(block_tokens=10, segments=3),
    overlap_tokens=6,
    doc_lora=DocLoRAConfig(chunk_tokens=8, rank=2, lr=0.05, documents=4),
    slot=SLOTConfig(steps=3, lr=0.05),
    ngram=NgramConfig(max_order=8, buckets=64),
    tilt=TiltConfig(min_order=3, max_order=7, buckets=128),
    bias=BiasConfig(chunk_tokens=30),
)
TOKENS = documents(301, seed=3)


@pytest.fixture(scope="module")
def models():
    return {"stateful": random_model(kind=CarryingGPT), "gpt": random_model()}


def build(models, name, config=CONFIG):
    return METHODS[name](models.get(name, models["gpt"]), config)


every_method = pytest.mark.parametrize("name", list(METHODS))


def stepwise_nats(method, tokens):
    predictor = Stepwise(method, len(tokens) - 1)
    predictor.update(int(tokens[0]))
    nats = []
    for token in tokens[1:].tolist():
        log_probs = predictor.log_probs()
        assert float(log_probs.exp().sum()) == pytest.approx(1, abs=1e-9)
        nats.append(-float(log_probs[token]))
        predictor.update(token)
    return np.array(nats)


@every_method
def test_both_drivers_give_the_same_losses(models, name):
    method = build(models, name)
    fast = evaluate(method, TOKENS, TABLE, batch_windows=5)
    assert fast.score.tokens == 300
    np.testing.assert_allclose(fast.nats_N, stepwise_nats(method, TOKENS), atol=2e-4)


@every_method
def test_the_batch_size_does_not_change_a_score(models, name):
    method = build(models, name)
    one = evaluate(method, TOKENS, TABLE, batch_windows=1).nats_N
    many = evaluate(method, TOKENS, TABLE, batch_windows=64).nats_N
    np.testing.assert_allclose(one, many, atol=2e-4)


@every_method
def test_a_run_is_repeatable_and_leaves_the_model_alone(models, name):
    method = build(models, name)
    weights = {key: [p.clone() for p in model.parameters()] for key, model in models.items()}
    first = evaluate(method, TOKENS, TABLE).nats_N
    assert np.array_equal(first, evaluate(method, TOKENS, TABLE).nats_N)
    for key, model in models.items():
        assert all(torch.equal(a, b) for a, b in zip(weights[key], model.parameters(), strict=True))


def test_a_predictor_says_when_there_is_nothing_to_predict(models):
    predictor = Stepwise(build(models, "plain"), 1)
    with pytest.raises(ValueError, match="0 tokens so far of a stream of 2"):
        predictor.log_probs()
    predictor.update(1)
    assert predictor.log_probs().shape == (VOCAB,)
    predictor.update(2)
    with pytest.raises(ValueError, match="2 tokens so far of a stream of 2"):
        predictor.log_probs()
