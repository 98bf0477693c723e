"""With default settings the model is the naive baseline: to the bit, at its start and in its output."""

import math

import pytest
import torch
import torch.nn.functional as F

from pgolf.model import GPT, GPTConfig
from pgolf.model.rotary import rotary_tables, rotate

from .reference import random_model, small


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def model(request):
    return random_model(small(tie_embeddings=request.param))


def test_the_baseline_has_the_contests_parameter_count():
    with torch.device("meta"):
        assert GPT(GPTConfig.naive_baseline()).num_parameters() == 17_059_912
        assert GPT(GPTConfig.tiny()).num_parameters() < 1_000_000


def baseline_weights(config):
    """The baseline's parameters by name, drawn in the order in which it draws them."""
    width, kv_dim = config.model_dim, config.model_dim // config.num_heads * config.num_kv_heads
    hidden = config.mlp_mult * width

    def linear(rows, columns, zero=False):
        weight = torch.nn.Linear(columns, rows, bias=False).weight.detach()
        return torch.zeros_like(weight) if zero else weight

    embedding = torch.nn.Embedding(config.vocab_size, width).weight.detach()
    weights = {"skip_weights": torch.ones(config.num_layers // 2, width), "tok_emb.weight": embedding}
    for layer in range(config.num_layers):
        drawn = {
            "attn.q_gain": torch.full((config.num_heads,), 1.5),
            "attn.query.weight": linear(width, width),
            "attn.key.weight": linear(kv_dim, width),
            "attn.value.weight": linear(kv_dim, width),
            "attn.proj.weight": linear(width, width, zero=True),
            "mlp.up.weight": linear(hidden, width),
            "mlp.proj.weight": linear(width, hidden, zero=True),
            "attn_scale": torch.ones(width),
            "mlp_scale": torch.ones(width),
            "resid_mix": torch.stack((torch.ones(width), torch.zeros(width))),
        }
        weights |= {f"blocks.{layer}.{name}": tensor for name, tensor in drawn.items()}
    if config.tie_embeddings:
        embedding.normal_(std=0.005)
    else:
        weights["lm_head.weight"] = linear(config.vocab_size, width, zero=True)
    return weights


def baseline_logits(config, w, ids, dtype):
    """The root train_gpt.py of the contest as one function of its weights, with the operations in its order."""
    heads, kv_heads, width = config.num_heads, config.num_kv_heads, config.model_dim
    head_dim, encoders, length = width // heads, config.num_layers // 2, ids.size(1)
    even = torch.arange(0, head_dim, 2, dtype=torch.float32)
    angle = torch.outer(torch.arange(length, dtype=torch.float32), config.rope_base ** (-even / head_dim))
    cos, sin = angle.cos().to(dtype), angle.sin().to(dtype)

    def norm(x):
        return F.rms_norm(x, (x.size(-1),))

    def rope(x):
        a, b = x[..., : head_dim // 2], x[..., head_dim // 2 :]
        return torch.cat((a * cos + b * sin, b * cos - a * sin), dim=-1)

    x = x0 = norm(w["tok_emb.weight"].to(dtype)[ids])
    skips = []
    for layer in range(config.num_layers):
        b = {name: w[f"blocks.{layer}.{name}"].to(dtype) for name in BLOCK_TENSORS}
        if layer >= encoders and skips:
            x = x + w["skip_weights"][layer - encoders].to(dtype) * skips.pop()
        x = b["resid_mix"][0] * x + b["resid_mix"][1] * x0
        h = norm(x)
        q = F.linear(h, b["attn.query.weight"]).view(*ids.shape, heads, head_dim).transpose(1, 2)
        k = F.linear(h, b["attn.key.weight"]).view(*ids.shape, kv_heads, head_dim).transpose(1, 2)
        v = F.linear(h, b["attn.value.weight"]).view(*ids.shape, kv_heads, head_dim).transpose(1, 2)
        q, k = rope(norm(q)) * b["attn.q_gain"][:, None, None], rope(norm(k))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        y = F.linear(y.transpose(1, 2).reshape(x.shape), b["attn.proj.weight"])
        x = x + b["attn_scale"] * y
        hidden = torch.relu(F.linear(norm(x), b["mlp.up.weight"])).square()
        x = x + b["mlp_scale"] * F.linear(hidden, b["mlp.proj.weight"])
        if layer < encoders:
            skips.append(x)
    head = w.get("lm_head.weight", w["tok_emb.weight"]).to(dtype)
    return 30.0 * torch.tanh(F.linear(norm(x), head).float() / 30.0)


BLOCK_TENSORS = (
    "resid_mix",
    "attn_scale",
    "mlp_scale",
    "attn.q_gain",
    "attn.query.weight",
    "attn.key.weight",
    "attn.value.weight",
    "attn.proj.weight",
    "mlp.up.weight",
    "mlp.proj.weight",
)


@pytest.mark.parametrize("layers", [1, 4, 5])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_the_default_model_begins_with_the_baselines_weights(tied, layers):
    config = small(tie_embeddings=tied, num_layers=layers)
    torch.manual_seed(3)
    expected = baseline_weights(config)
    torch.manual_seed(3)
    state = GPT(config).state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("layers", [1, 4, 5])
def test_the_default_model_computes_the_baselines_function_to_the_bit(model, layers, dtype):
    config = small(num_layers=layers, tie_embeddings=model.config.tie_embeddings)
    model = random_model(config)
    model.compute_dtype = dtype
    ids = torch.randint(0, 64, (2, 33))
    assert torch.equal(model(ids), baseline_logits(config, model.state_dict(), ids, dtype))


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
    model = random_model(small(num_layers=layers))
    ids = torch.randint(0, 64, (2, 9))
    model.loss(ids[:, :-1], ids[:, 1:]).backward()
    used = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert used == {name for name, p in model.named_parameters() if p.numel()}
