"""Every parameter has one optimizer, and rates follow the schedule."""

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
    matrices, scalars = split_parameters(model)
    assert len(matrices) == 4 * 6
    assert len(scalars) == 4 * 4 + 1
    assert any(parameter is model.skip_weights for parameter in scalars)


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
    ],
)
def test_bad_rates_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        OptimizerConfig(**changes)
