"""The model is causal, starts at the uniform loss, and has the baseline's size."""

import json
import math

import pytest
import torch
import torch.nn.functional as F

from pgolf.layers import rotary_tables, rotate
from pgolf.model import GPT, GPTConfig

SMALL = GPTConfig(vocab_size=64, num_layers=3, model_dim=32, num_heads=4, num_kv_heads=2)


def random_model(config=SMALL, seed=0):
    """Every parameter drawn anew: zero-initialized maps would hide mistakes."""
    torch.manual_seed(seed)
    model = GPT(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def model(request):
    return random_model(GPTConfig(**{**SMALL.to_json(), "tie_embeddings": request.param}))


def test_the_baseline_has_the_contests_parameter_count():
    with torch.device("meta"):
        assert GPT(GPTConfig.naive_baseline()).num_parameters() == 17_059_912
        assert GPT(GPTConfig.tiny()).num_parameters() < 1_000_000


def test_an_untrained_model_is_near_uniform():
    torch.manual_seed(0)
    ids = torch.randint(0, 1024, (2, 17))
    loss = GPT(GPTConfig.tiny()).loss(ids[:, :-1], ids[:, 1:])
    assert loss.item() == pytest.approx(math.log(1024), abs=0.05)


@pytest.mark.parametrize("position", [0, 5, 11])
def test_logits_do_not_depend_on_later_inputs(model, position):
    ids = torch.randint(0, 64, (2, 12))
    changed = ids.clone()
    changed[:, position:] = (changed[:, position:] + 1) % 64
    before, after = model(ids), model(changed)
    assert torch.equal(before[:, :position], after[:, :position])
    assert not torch.equal(before[:, position:], after[:, position:])


def test_rows_of_a_batch_do_not_see_each_other(model):
    ids = torch.randint(0, 64, (3, 12))
    changed = ids.clone()
    changed[1] = (changed[1] + 1) % 64
    assert torch.equal(model(ids)[[0, 2]], model(changed)[[0, 2]])


def test_loss_is_cross_entropy_of_the_logits(model):
    ids = torch.randint(0, 64, (2, 13))
    x, y = ids[:, :-1], ids[:, 1:]
    log_p = F.log_softmax(model(x).double(), dim=-1)
    nats = -log_p.gather(-1, y[..., None])[..., 0]
    torch.testing.assert_close(model.loss(x, y, "none").double(), nats, atol=1e-4, rtol=1e-5)
    assert model.loss(x, y).item() == pytest.approx(nats.mean().item(), abs=1e-4)


def test_logits_stay_within_the_softcap(model):
    logits = model(torch.randint(0, 64, (2, 12)))
    assert logits.dtype == torch.float32
    assert logits.abs().max() <= 30.0


def test_hidden_states_and_head_compose_to_forward(model):
    ids = torch.randint(0, 64, (1, 9))
    assert torch.equal(model.head(model.hidden_states(ids)), model(ids))


def test_bf16_compute_keeps_fp32_weights_and_stays_close():
    model = random_model()
    ids = torch.randint(0, 64, (1, 9))
    exact = model(ids)
    model.compute_dtype = torch.bfloat16
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert (model(ids) - exact).abs().max() < 1.0


def test_rotation_keeps_lengths_and_makes_products_depend_on_distance_only():
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 16).expand(2, 1, 1, 20, 16)
    tables = rotary_tables(20, 16, 10_000.0, like=q)
    rq, rk = rotate(q, tables), rotate(k, tables)
    torch.testing.assert_close(rq.norm(dim=-1), q.norm(dim=-1))
    products = (rq @ rk.mT)[0, 0]
    torch.testing.assert_close(
        products.diagonal(3), products.diagonal(3)[:1].expand(17), atol=1e-4, rtol=1e-4
    )
    torch.testing.assert_close(rq[..., 0, :], q[..., 0, :])


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_any_depth_trains_every_parameter(layers):
    model = random_model(GPTConfig(**{**SMALL.to_json(), "num_layers": layers}))
    ids = torch.randint(0, 64, (2, 9))
    model.loss(ids[:, :-1], ids[:, 1:]).backward()
    used = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert used == {name for name, p in model.named_parameters() if p.numel()}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_layers": 0}, "num_layers must be at least 1, got 0"),
        ({"model_dim": 60, "num_heads": 8}, "multiple of 2 x num_heads"),
        ({"num_heads": 4, "num_kv_heads": 3}, "multiple of num_kv_heads 3"),
        ({"logit_softcap": 0.0}, "logit_softcap must be positive"),
    ],
)
def test_impossible_shapes_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        GPTConfig.tiny(**changes)


def test_config_round_trips_through_json_and_refuses_other_keys():
    assert GPTConfig.from_json(json.loads(json.dumps(SMALL.to_json()))) == SMALL
    with pytest.raises(ValueError, match="unknown model setting 'width'"):
        GPTConfig.from_json({"width": 3})
    with pytest.raises(ValueError, match="num_layers is '3'"):
        GPTConfig.from_json({"num_layers": "3"})
