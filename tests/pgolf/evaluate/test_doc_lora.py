"""Per-document adapters: rows that know nothing of each other, and the same maps as merged weights."""

import copy

import numpy as np
import pytest
import torch

from pgolf.evaluate import evaluate, evaluate_sliding
from pgolf.evaluate.doc_lora import DocLoRA, DocLoRAConfig
from pgolf.evaluate.driver import document_starts
from pgolf.evaluate.lora import RowLoRA
from tests.pgolf.evaluate.fakes import BOS, TABLE, VOCAB, documents, random_model

CONFIG = DocLoRAConfig(chunk_tokens=6, rank=2, lr=0.05, documents=3)


@pytest.fixture(scope="module")
def model():
    return random_model()


def adapters(model, rows):
    return RowLoRA(model, rows, rank=3, scale=0.5, targets=("query", "value"), betas=(0.9, 0.95))


def test_an_adapted_row_is_a_model_with_merged_weights(model):
    lora = adapters(model, rows=2)
    torch.manual_seed(1)
    for weight in lora.weights:
        torch.nn.init.normal_(weight)
    ids_BT = torch.from_numpy(documents(24).astype(np.int64)).view(2, 12)
    with lora.attached():
        adapted = model(ids_BT)
    for row in range(2):
        merged = copy.deepcopy(model)
        for name, down, up in zip(lora.maps, lora.weights[::2], lora.weights[1::2], strict=True):
            merged.get_submodule(name).weight.data += 0.5 * up[row] @ down[row]
        torch.testing.assert_close(adapted[row], merged(ids_BT)[row], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(adapted, model(ids_BT))


def test_rows_step_like_adam_each_with_its_own_count(model):
    lora = adapters(model, rows=2)
    rng = torch.Generator().manual_seed(2)
    alone = [[weight[row].detach().clone() for weight in lora.weights] for row in range(2)]
    adams = [torch.optim.Adam(weights, lr=0.1, betas=(0.9, 0.95), eps=1e-10) for weights in alone]
    for rows in ([0], [0, 1], [1], [0, 1]):
        gradients = [torch.randn(weight.shape, generator=rng) for weight in lora.weights]
        lora.step(gradients, rows, lr=0.1)
        for row in rows:
            for weight, gradient in zip(alone[row], gradients, strict=True):
                weight.grad = gradient[row].clone()
            adams[row].step()
        for row in range(2):
            for weight, expected in zip(lora.weights, alone[row], strict=True):
                torch.testing.assert_close(weight[row], expected)
    lora.restart([1])
    for weight, start in zip(lora.weights, lora.initial, strict=True):
        assert torch.equal(weight[1], start)
        assert not torch.equal(weight[0], start)
    assert lora.steps_B.tolist() == [3, 0]


def test_a_document_is_scored_the_same_whatever_the_others_hold(model):
    tokens = documents(120, seed=5)
    starts = document_starts(tokens, BOS)
    assert len(starts) > 3
    lora = DocLoRA(model, 12, BOS, CONFIG)
    before = evaluate(lora, tokens, TABLE).nats_N
    for start, end in zip(starts, [*starts[1:], 119], strict=True):
        changed = tokens.copy()
        changed[start + 1 : end] = (changed[start + 1 : end] + 3) % (VOCAB - 2) + 2
        after = evaluate(lora, changed, TABLE).nats_N
        np.testing.assert_allclose(before[:start], after[:start], atol=1e-4)
        np.testing.assert_allclose(before[end:], after[end:], atol=1e-4)


def test_context_and_adapters_end_with_their_document(model):
    tokens = documents(120, seed=6)
    starts = document_starts(tokens, BOS)
    together = evaluate(DocLoRA(model, 12, BOS, CONFIG), tokens, TABLE).nats_N
    for start, end in zip(starts, [*starts[1:], 119], strict=True):
        alone = evaluate(DocLoRA(model, 12, None, CONFIG), tokens[start : end + 1], TABLE).nats_N
        np.testing.assert_allclose(together[start:end], alone, atol=1e-4)


def test_adapters_learn_a_document_that_repeats(model):
    tokens = np.tile(np.array([5, 9, 14, 30], dtype=np.uint16), 40)
    fixed = evaluate_sliding(model, tokens, TABLE, seq_len=12, stride=6).score.val_loss
    config = DocLoRAConfig(chunk_tokens=6, rank=4, lr=0.05, steps=2)
    assert evaluate(DocLoRA(model, 12, None, config), tokens, TABLE).score.val_loss < fixed - 0.2


def test_documents_start_at_their_bos_and_at_the_stream():
    assert document_starts(np.array([5, BOS, 6, 7, BOS, 8, BOS]), BOS) == [0, 1, 4]
    assert document_starts(np.array([BOS, 6, BOS, 7]), None) == [0]


def test_bad_settings_are_refused(model):
    with pytest.raises(ValueError, match="chunk_tokens 256 must fit into the window of 12"):
        DocLoRA(model, 12, BOS, DocLoRAConfig())
    with pytest.raises(ValueError, match="no linear map of the model is named gate"):
        RowLoRA(model, 1, 2, 1.0, ("gate",), (0.9, 0.95))
    for changes in ({"rank": 0}, {"lr": -1.0}, {"beta1": 1.0}, {"documents": 0}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            DocLoRAConfig(**changes)
