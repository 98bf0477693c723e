"""Muon's updates are near-orthogonal, and its arithmetic and its variants' is the papers'."""

import copy

import pytest
import torch

from pgolf.optim import Muon, orthogonalize
from pgolf.optim.mousse import EPS, accumulate_factors, inverse_power, whitened_step
from pgolf.optim.muoneq import equalize_rows
from pgolf.optim.normuon import normalize_neurons
from pgolf.optim.orthogonal import POLAR_EXPRESS, QUINTIC


@pytest.mark.parametrize("shape", [(16, 16), (8, 32), (32, 8), (3, 16, 24), (3, 24, 16)])
def test_singular_values_end_near_one(shape):
    torch.manual_seed(0)
    singular = torch.linalg.svdvals(orthogonalize(torch.randn(shape)))
    assert singular.min() > 0.6
    assert singular.max() < 1.3


def test_the_direction_is_that_of_the_polar_factor():
    torch.manual_seed(0)
    matrix = torch.randn(12, 20)
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    ours = orthogonalize(matrix)
    cosine = (ours * (u @ vt)).sum() / (ours.norm() * (u @ vt).norm())
    assert cosine > 0.98


def test_a_stack_equals_its_matrices_one_by_one():
    torch.manual_seed(0)
    stack = torch.randn(4, 6, 10)
    one_by_one = torch.stack([orthogonalize(matrix) for matrix in stack])
    torch.testing.assert_close(orthogonalize(stack), one_by_one, atol=1e-5, rtol=1e-4)


def test_a_zero_matrix_stays_zero():
    assert not orthogonalize(torch.zeros(4, 4)).any()


def test_two_steps_follow_the_formula():
    torch.manual_seed(0)
    start = torch.randn(12, 6)
    weight = torch.nn.Parameter(start.clone())
    optimizer = Muon([weight], lr=0.1, momentum=0.9)
    expected, buffer = start.clone(), torch.zeros(12, 6)
    for _ in range(2):
        grad = torch.randn(12, 6)
        weight.grad = grad.clone()
        optimizer.step()
        buffer = 0.9 * buffer + grad
        expected -= 0.1 * (12 / 6) ** 0.5 * orthogonalize(grad + 0.9 * buffer)
    torch.testing.assert_close(weight.detach(), expected, atol=1e-5, rtol=1e-4)


def test_parameters_without_a_gradient_are_left_alone():
    a, b = torch.nn.Parameter(torch.ones(4, 4)), torch.nn.Parameter(torch.ones(4, 4))
    a.grad = torch.eye(4)
    Muon([a, b], lr=0.1).step()
    assert not torch.equal(a, torch.ones(4, 4))
    assert torch.equal(b, torch.ones(4, 4))


def test_vectors_and_bad_settings_are_refused():
    with pytest.raises(ValueError, match="matrices only"):
        Muon([torch.nn.Parameter(torch.ones(4))], lr=0.1)
    with pytest.raises(ValueError, match="momentum 1.5"):
        Muon([torch.nn.Parameter(torch.ones(4, 4))], lr=0.1, momentum=1.5)


@pytest.mark.parametrize("name", ["quintic", "polar_express"])
@pytest.mark.parametrize("steps", [1, 3, 5, 7])
def test_each_singular_value_follows_the_scalar_polynomial(name, steps):
    torch.manual_seed(0)
    u, _ = torch.linalg.qr(torch.randn(6, 6))
    v, _ = torch.linalg.qr(torch.randn(9, 6))
    values = [0.5, 0.3, 0.2, 0.1, 0.05, 0.01]
    expected = []
    norm = sum(value**2 for value in values) ** 0.5
    for value in values:
        x = value / norm
        for step in range(steps):
            a, b, c = QUINTIC if name == "quintic" else POLAR_EXPRESS[min(step, 4)]
            x = a * x + b * x**3 + c * x**5
        expected.append(x)
    ours = orthogonalize(u @ torch.diag(torch.tensor(values)) @ v.T, steps, name)
    torch.testing.assert_close(u.T @ ours @ v, torch.diag(torch.tensor(expected)), atol=2e-4, rtol=1e-3)


def test_polar_express_ends_nearer_to_one():
    torch.manual_seed(0)
    matrix = torch.randn(24, 32)

    def distance(name):
        return (torch.linalg.svdvals(orthogonalize(matrix, 5, name)) - 1).abs().max()

    assert distance("polar_express") < 0.8 * distance("quintic")


def test_equal_rows_have_length_one_and_keep_their_direction():
    torch.manual_seed(0)
    matrices = torch.randn(2, 4, 6) * torch.tensor([1e-3, 1.0, 50.0, 0.0])[:, None]
    ours = equalize_rows(matrices)
    for matrix, rows in zip(matrices, ours, strict=True):
        for row, equal in zip(matrix[:3], rows[:3], strict=True):
            assert equal.norm() == pytest.approx(1)
            assert torch.nn.functional.cosine_similarity(row, equal, dim=0) == pytest.approx(1)
        assert not rows[3].any()


def test_rows_of_any_scale_give_muoneq_the_same_step():
    torch.manual_seed(0)
    grad, scales = torch.randn(6, 9), torch.tensor([1e-3, 0.1, 1.0, 3.0, 10.0, 1e3])[:, None]
    steps = []
    for scaled in (grad, scales * grad):
        weight = torch.nn.Parameter(torch.zeros(6, 9))
        weight.grad = scaled.clone()
        Muon([weight], lr=0.1, variant="muoneq_r").step()
        steps.append(weight.detach())
    torch.testing.assert_close(*steps, atol=1e-5, rtol=1e-4)


def test_neurons_are_normalized_by_the_papers_formula_row_by_row():
    torch.manual_seed(0)
    second = torch.zeros(2, 5, 1)
    moments = [[0.0] * 5, [0.0] * 5]
    for _ in range(3):
        updates = torch.randn(2, 5, 7) * torch.arange(1.0, 6.0)[:, None]
        ours = normalize_neurons(updates, second, beta2=0.9)
        for n in range(2):
            rows = []
            for r in range(5):
                mean_square = sum(float(x) ** 2 for x in updates[n, r]) / 7
                moments[n][r] = 0.9 * moments[n][r] + 0.1 * mean_square
                rows.append(updates[n, r] / moments[n][r] ** 0.5)
            expected = torch.stack(rows)
            expected = expected * (updates[n].norm() / expected.norm())
            torch.testing.assert_close(ours[n], expected, atol=1e-5, rtol=1e-5)


def test_the_inverse_power_undoes_the_power_of_a_factor_with_mean_eigenvalue_one():
    torch.manual_seed(0)
    grads = torch.randn(2, 4, 9)
    factors = 1e-6 * grads @ grads.mT  # the scale must not matter
    eighth = inverse_power(factors, 0.125)
    for factor, power in zip(factors, eighth, strict=True):
        scaled = factor * (4 / torch.trace(factor)) + EPS * torch.eye(4)
        inverse = torch.linalg.matrix_power(power, 8)
        torch.testing.assert_close(inverse @ scaled, torch.eye(4), atol=1e-3, rtol=1e-3)


def test_mousse_is_the_steepest_step_of_its_whitened_norm():
    """No other step with the same largest whitened singular value goes further along the gradient."""
    torch.manual_seed(0)
    grad = torch.randn(4, 6, dtype=torch.float64)
    left = inverse_power((grad @ grad.T)[None], 0.25)
    right = inverse_power((grad.T @ grad + 0.1 * torch.eye(6))[None], 0.25)

    def polar(matrices):
        u, _, vt = torch.linalg.svd(matrices, full_matrices=False)
        return u @ vt

    def length(step):  # in the whitened coordinates
        return torch.linalg.matrix_norm(torch.linalg.inv(left[0]) @ step @ torch.linalg.inv(right[0]), 2)

    step = whitened_step(grad[None], left, right, polar)[0]
    assert step.norm() == pytest.approx(polar(grad[None]).norm())
    gain = (grad * step).sum() / length(step)
    for _ in range(200):
        other = step + 0.3 * step.norm() * torch.randn(4, 6, dtype=torch.float64) / 24**0.5
        assert (grad * other).sum() / length(other) < gain


def test_mousse_follows_the_algorithm_over_steps():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(4, 6))
    optimizer = Muon(
        [weight], lr=1.0, momentum=0.9, variant="mousse", beta2=0.8, mousse_every=2, nesterov=False
    )
    expected, buffer = torch.zeros(4, 6), torch.zeros(4, 6)
    left, right = torch.zeros(4, 4), torch.zeros(6, 6)
    for step in range(3):
        grad = torch.randn(4, 6)
        weight.grad = grad.clone()
        optimizer.step()
        buffer = 0.9 * buffer + grad
        left, right = 0.8 * left + 0.2 * grad @ grad.T, 0.8 * right + 0.2 * grad.T @ grad
        if step % 2 == 0:
            powers = []
            for factor in (left, right):
                values, vectors = torch.linalg.eigh(
                    factor * len(factor) / torch.trace(factor) + EPS * torch.eye(len(factor))
                )
                powers.append(vectors @ torch.diag(values**-0.125) @ vectors.T)
        inner = orthogonalize(powers[0] @ buffer @ powers[1])
        outer = powers[0] @ inner @ powers[1]
        expected = expected - outer * (inner.norm() / outer.norm())
    torch.testing.assert_close(weight.detach(), expected, atol=2e-3, rtol=1e-2)


def test_a_gradient_of_zero_leaves_every_variant_in_place():
    for variant in ("muon", "muoneq_r", "normuon", "mousse"):
        weight = torch.nn.Parameter(torch.ones(4, 6))
        weight.grad = torch.zeros(4, 6)
        Muon([weight], lr=1.0, variant=variant).step()
        assert torch.equal(weight, torch.ones(4, 6)), variant


def test_weight_decay_shrinks_the_weights_and_not_the_update():
    weight = torch.nn.Parameter(torch.full((4, 4), 2.0))
    weight.grad = torch.eye(4)
    Muon([weight], lr=0.1, weight_decay=0.5).step()
    expected = 2.0 * (1 - 0.1 * 0.5) - 0.1 * orthogonalize(torch.eye(4))
    torch.testing.assert_close(weight.detach(), expected)


@pytest.mark.parametrize("variant", ["muon", "muoneq_r", "normuon", "mousse"])
def test_every_variant_descends(variant):
    torch.manual_seed(0)
    target = torch.randn(6, 8)
    weight = torch.nn.Parameter(torch.zeros(6, 8))
    optimizer = Muon([weight], lr=0.05, variant=variant)
    for _ in range(100):
        loss = (weight - target).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.5 * target.square().sum()


@pytest.mark.parametrize("variant", ["muon", "normuon", "mousse"])
def test_a_restored_state_repeats_its_steps(variant):
    torch.manual_seed(0)
    grads = torch.randn(4, 6, 8)

    def train(optimizer, weight, steps):
        for step in steps:
            weight.grad = grads[step].clone()
            optimizer.step()
        return weight.detach().clone()

    weight = torch.nn.Parameter(torch.ones(6, 8))
    optimizer = Muon([weight], lr=0.1, variant=variant)
    halfway = train(optimizer, weight, (0, 1))
    state = copy.deepcopy(optimizer.state_dict())
    end = train(optimizer, weight, (2, 3))
    again = torch.nn.Parameter(halfway.clone())
    restored = Muon([again], lr=0.1, variant=variant)
    restored.load_state_dict(state)
    assert torch.equal(train(restored, again, (2, 3)), end)


def test_factors_are_running_means_of_the_gradients_grams():
    torch.manual_seed(0)
    left, right, grads = torch.zeros(1, 2, 2), torch.zeros(1, 3, 3), torch.randn(2, 1, 2, 3)
    for grad in grads:
        accumulate_factors(left, right, grad, beta2=0.75)
    expected = 0.1875 * grads[0] @ grads[0].mT + 0.25 * grads[1] @ grads[1].mT
    torch.testing.assert_close(left, expected)
