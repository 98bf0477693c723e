"""Heads for later tokens: in the training loss, and nowhere else."""

import pytest
import torch
import torch.nn.functional as F

from pgolf.artifact import pack_model, unpack
from pgolf.model import GPT

from .reference import random_ids, random_model, small

HEADS = {"mtp_heads": 2, "mtp_loss_weight": 0.3}


@pytest.fixture
def model():
    return random_model(small(**HEADS))


@pytest.fixture
def batch():
    ids = random_ids(3, 11)
    return ids[:, :-1], ids[:, 1:]


def without_heads(model):
    plain = GPT(small())
    plain.load_state_dict(model.artifact_state())
    return plain


def test_the_training_loss_asks_each_head_for_its_token(model, batch):
    inputs, targets = batch
    hidden = model.hidden_states(inputs)
    losses = []
    for ahead, head in enumerate(model.mtp_heads, start=1):
        logits = 30 * torch.tanh(hidden @ head.weight.T / 30)
        log_p = torch.log_softmax(logits, -1)
        asked = [
            -log_p[row, t, targets[row, t + ahead]]
            for row in range(3)
            for t in range(targets.size(1) - ahead)
        ]
        losses.append(torch.stack(asked).mean())
    expected = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten()) + 0.3 * sum(losses) / 2
    torch.testing.assert_close(model.train().loss(inputs, targets), expected)


def test_scores_are_those_of_the_model_without_heads(model, batch):
    plain = without_heads(model)
    for mode in (True, False):
        model.train(mode)
        plain.train(mode)
        assert torch.equal(model(batch[0]), plain(batch[0]))
        assert torch.equal(model.loss(*batch, "none"), plain.loss(*batch, "none"))
    assert torch.equal(model.eval().loss(*batch), plain.eval().loss(*batch))
    assert not torch.equal(model.train().loss(*batch), plain.train().loss(*batch))


def test_a_sequence_too_short_for_a_head_goes_without_it(model):
    ids = random_ids(2, 2)
    plain = without_heads(model)
    assert torch.equal(model.loss(ids[:, :1], ids[:, 1:]), plain.loss(ids[:, :1], ids[:, 1:]))
    ids = random_ids(2, 3)
    assert torch.isfinite(model.loss(ids[:, :2], ids[:, 1:]))


def test_the_artifact_goes_without_heads(model, batch):
    artifact = unpack(pack_model(model))
    assert artifact.config == small(mtp_heads=0, mtp_loss_weight=0.3)
    assert not any(name.startswith("mtp_heads") for name in artifact.tensors)
    assert len(pack_model(model)) == pytest.approx(len(pack_model(without_heads(model))), abs=40)
    assert artifact.build_model().loss(*batch).isfinite()


def test_an_artifacts_state_loads_where_only_heads_are_missing(model, batch):
    other = random_model(small(**HEADS), seed=1)
    heads = [head.weight.clone() for head in other.mtp_heads]
    other.load_artifact_state(model.artifact_state())
    assert torch.equal(other(batch[0]), model(batch[0]))
    assert all(torch.equal(head.weight, kept) for head, kept in zip(other.mtp_heads, heads, strict=True))
    cut = {name: tensor for name, tensor in model.artifact_state().items() if name != "skip_weights"}
    with pytest.raises(RuntimeError, match="skip_weights"):
        other.load_artifact_state(cut)
    with pytest.raises(RuntimeError, match="surplus"):
        other.load_artifact_state({**model.artifact_state(), "surplus": torch.zeros(1)})
