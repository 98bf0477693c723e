"""Every parameter has one optimizer, and rates follow the schedule."""

import math

import pytest
import torch

from pgolf.model import GPT, GPTConfig
from pgolf.optim import OptimizerConfig, OptimizerSet, lr_scale, muon_momentum, split_parameters


@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_belongs_to_exactly_one_group(tied):
    model = GPT(GPTConfig.tiny(tie_embeddings=tied))
    optimizers = OptimizerSet(model, OptimizerConfig())
    groups = optimizers.adam.param_groups + optimizers.muon.param_groups
    owned = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(owned) == sorted(id(parameter) for parameter in model.parameters())


def test_matrices_are_the_blocks_linear_maps():
    model = GPT(GPTConfig.tiny())
    split = split_parameters(model)
    assert (len(split.matrices), len(split.scalars)) == (4 * 6, 4 * 4 + 1)
    assert any(parameter is model.skip_weights for parameter in split.scalars)
    assert (len(split.embeddings), split.tables, split.heads) == (1, [], [])


def model_with_tables():
    return GPT(GPTConfig.tiny(tie_embeddings=False, bigram_vocab_size=64, bigram_dim=16, mtp_heads=1))


def test_tables_and_heads_have_groups_of_their_own():
    model = model_with_tables()
    split = split_parameters(model)
    assert [id(p) for p in split.tables] == [id(model.bigram.table.weight)]
    assert [id(p) for p in split.heads] == [id(model.lm_head.weight), id(model.mtp_heads[0].weight)]
    assert any(p is model.bigram.proj.weight for p in split.matrices)


def test_each_group_moves_by_its_own_rate_and_decay():
    """AdamW with beta1 = beta2 = 0 steps by the sign of the gradient, after weights shrink by rate x decay."""
    model = model_with_tables()
    config = OptimizerConfig(
        embed_lr=0.1,
        table_lr=0.2,
        head_lr=0.3,
        scalar_lr=0.4,
        adam_eps=1e-12,
        embed_weight_decay=0.5,
        head_weight_decay=0.25,
        scalar_weight_decay=0.125,
        beta1=0.0,
        beta2=0.0,
    )
    expected = {}
    for parameter, lr, decay in (
        (model.tok_emb.weight, 0.1, 0.5),
        (model.bigram.table.weight, 0.2, 0.5),
        (model.lm_head.weight, 0.3, 0.25),
        (model.skip_weights, 0.4, 0.125),
    ):
        expected[parameter] = parameter.detach() * (1 - 0.5 * lr * decay) - 0.5 * lr
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 3.0)
    OptimizerSet(model, config).step(scale=0.5, momentum=0.9)
    for parameter, value in expected.items():
        torch.testing.assert_close(parameter.detach(), value)


@pytest.mark.parametrize(("step", "expected"), [(0, 1.0), (60, 1.0), (80, 0.5), (99, 0.025), (100, 0.0)])
def test_warmdown_by_steps(step, expected):
    scale = lr_scale(step, iterations=100, warmdown_iters=40, elapsed_ms=0.0, cap_ms=None)
    assert scale == pytest.approx(expected)


@pytest.mark.parametrize(("elapsed_ms", "expected"), [(0.0, 1.0), (500.0, 1.0), (800.0, 0.5), (1000.0, 0.0)])
def test_warmdown_by_wallclock_uses_the_pace_so_far(elapsed_ms, expected):
    step = int(elapsed_ms / 10)  # 10 ms a step: 40 steps take the last 400 of 1000 ms
    scale = lr_scale(step, iterations=10**6, warmdown_iters=40, elapsed_ms=elapsed_ms, cap_ms=1000.0)
    assert scale == pytest.approx(expected)


def test_no_warmdown_is_a_constant_rate():
    assert lr_scale(99, iterations=100, warmdown_iters=0, elapsed_ms=1.0, cap_ms=None) == 1.0


@pytest.mark.parametrize("capped", [False, True])
@pytest.mark.parametrize(
    ("done", "expected"), [(0.0, 1.0), (0.25, 1.0), (0.5, 2 / 3), (0.925, 0.1), (1.0, 0.0)]
)
def test_warmdown_over_a_share_of_the_run(capped, done, expected):
    scale = lr_scale(
        int(1000 * done) if not capped else 3,
        iterations=1000,
        warmdown_iters=10**6,
        elapsed_ms=80.0 * done,
        cap_ms=80.0 if capped else None,
        warmdown_frac=0.75,
    )
    assert scale == pytest.approx(expected)


@pytest.mark.parametrize("step", range(0, 101, 5))
def test_a_cosine_falls_as_slowly_at_both_ends_and_ends_at_its_floor(step):
    settings = {"iterations": 100, "warmdown_iters": 50, "elapsed_ms": 0.0, "cap_ms": None}
    scale = lr_scale(step, **settings, shape="cosine", floor=0.1)
    expected = 1.0 if step < 50 else 0.5 * (1 + math.cos(math.pi * (step - 50) / 50))
    assert scale == pytest.approx(max(expected, 0.1))


def test_muon_momentum_warms_up_in_a_line():
    config = OptimizerConfig()
    assert [muon_momentum(step, config) for step in (0, 250, 500, 900)] == pytest.approx(
        [0.85, 0.9, 0.95, 0.95]
    )
    assert muon_momentum(0, OptimizerConfig(muon_momentum_warmup_steps=0)) == 0.95


def train_step(model, optimizers, scale=1.0):
    torch.manual_seed(0)
    ids = torch.randint(0, 1024, (2, 9))
    model.loss(ids[:, :-1], ids[:, 1:]).backward()
    optimizers.step(scale=scale, momentum=0.9)
    optimizers.zero_grad()


def test_a_rate_of_zero_changes_nothing():
    model = GPT(GPTConfig.tiny())
    before = [parameter.clone() for parameter in model.parameters()]
    train_step(model, OptimizerSet(model, OptimizerConfig()), scale=0.0)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_restored_optimizers_repeat_their_steps():
    model = GPT(GPTConfig.tiny())
    optimizers = OptimizerSet(model, OptimizerConfig())
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = optimizers.state_dict()
    results = []
    for _ in range(2):
        model.load_state_dict(weights)
        optimizers.load_state_dict(state)
        train_step(model, optimizers)
        train_step(model, optimizers)
        results.append([parameter.detach().clone() for parameter in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"matrix_lr": -1.0},
        {"beta2": 1.0},
        {"warmdown_iters": -1},
        {"muon_backend_steps": 0},
        {"adam_eps": 0.0},
        {"muon_variant": "adam"},
        {"muon_coefficients": "cubic"},
        {"warmdown_shape": "sqrt"},
        {"warmdown_frac": 1.5},
        {"table_lr": -0.1},
        {"matrix_weight_decay": -0.1},
        {"mousse_every": 0},
    ],
)
def test_bad_rates_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        OptimizerConfig(**changes)
