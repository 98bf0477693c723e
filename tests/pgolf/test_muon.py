"""Muon's updates are near-orthogonal, and its arithmetic is the reference's."""

import pytest
import torch

from pgolf.muon import Muon, orthogonalize


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
