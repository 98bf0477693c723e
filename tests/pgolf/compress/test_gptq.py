"""GPTQ does what the OBQ formula says, blocked or not, and beats rounding where inputs are correlated."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgolf.compress import (
    GPTQConfig,
    QuantileClip,
    SearchClip,
    StdClip,
    dequantize_rows,
    quantize_gptq,
    quantize_rows,
)
from pgolf.compress.gptq import HessianError, inverse_factor, output_error, round_blocks, round_columns


def correlated_hessian(columns, seed=0, rank=None):
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(rank or columns, columns, generator=generator)
    inputs = torch.randn(4 * columns, rank or columns, generator=generator) @ mix
    inputs = inputs * torch.logspace(-1, 1, columns)
    return inputs.T @ inputs / len(inputs)


def weights(rows, columns, seed=1):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def obq(weight, hessian, steps, largest, order):
    """Optimal Brain Quantization in a fixed order: the inverse is downdated by the surgeon's formula."""
    weight, inverse = weight.astype(np.float64).copy(), np.linalg.inv(hessian)
    values = np.zeros_like(weight)
    for column in order:
        values[:, column] = np.clip(np.round(weight[:, column] / steps[:, column]), -largest, largest)
        error = (weight[:, column] - values[:, column] * steps[:, column]) / inverse[column, column]
        weight -= np.outer(error, inverse[column])
        inverse -= np.outer(inverse[:, column], inverse[column]) / inverse[column, column]
        inverse[column, column] = 1.0  # done with; never read again
        inverse[column, :column] = inverse[:column, column] = 0.0
    return values


@pytest.mark.parametrize("group_size", [None, 8])
@pytest.mark.parametrize("act_order", [True, False])
def test_the_integers_are_those_of_the_surgeons_formula(act_order, group_size):
    weight, hessian = weights(6, 24), correlated_hessian(24)
    config = GPTQConfig(damp=0.01, act_order=act_order, block_size=7)
    quantized = quantize_gptq(weight, hessian, 4, StdClip(3.0), group_size=group_size, config=config)
    nearest = quantize_rows(weight, 4, StdClip(3.0), group_size=group_size)
    assert torch.equal(quantized.scales, nearest.scales)
    damped = hessian.double().numpy() + 0.01 * hessian.diagonal().mean().item() * np.eye(24)
    order = np.argsort(-hessian.diagonal().numpy(), kind="stable") if act_order else np.arange(24)
    expected = obq(weight.numpy(), damped, nearest.steps_RC.numpy(), 7, order)
    assert np.array_equal(quantized.values.numpy(), expected)


def test_two_columns_by_hand():
    # H = [[2, 1], [1, 1]]: rounding the first from 0.4 to 0 moves the second by +0.4 * 1 / 1.
    weight, hessian = torch.tensor([[0.4, 0.2]]), torch.tensor([[2.0, 1.0], [1.0, 1.0]])
    factor = inverse_factor(hessian, 1e-12).float()
    values = round_columns(weight, torch.ones(1, 2), factor, 7)
    assert values.tolist() == [[0.0, 1.0]]
    assert values.tolist() != weight.round().tolist()


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000), columns=st.integers(1, 40), block=st.integers(1, 50), bits=st.integers(2, 8)
)
def test_blocks_give_what_columns_give(seed, columns, block, bits):
    weight, hessian = weights(5, columns, seed).double(), correlated_hessian(columns, seed).double()
    steps = (weight.abs().amax(dim=1, keepdim=True) / (2 ** (bits - 1) - 1)).expand_as(weight)
    factor = inverse_factor(hessian, 0.01)
    reference = round_columns(weight, steps, factor, 2 ** (bits - 1) - 1)
    # In fp64, so that no tie is met by rounding noise.
    assert torch.equal(round_blocks(weight, steps, factor, 2 ** (bits - 1) - 1, block), reference)


def test_the_factor_is_that_of_the_damped_inverse():
    hessian = correlated_hessian(12).double()
    factor = inverse_factor(hessian, 0.01)
    damped = hessian + 0.01 * hessian.diagonal().mean() * torch.eye(12, dtype=torch.float64)
    assert torch.equal(factor, factor.triu())
    assert (factor.diagonal() > 0).all()
    assert torch.allclose(factor.T @ factor, torch.linalg.inv(damped), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rank", [None, 16])
@pytest.mark.parametrize("clip", [QuantileClip(), StdClip(4.0), SearchClip()])
def test_outputs_are_closer_than_with_rounding_to_nearest(rank, clip):
    weight, hessian = weights(32, 160), correlated_hessian(160, rank=rank)
    nearest = dequantize_rows(quantize_rows(weight, 4, clip))
    gptq = dequantize_rows(quantize_gptq(weight, hessian, 4, clip))
    # Measured: 0.06 to 0.5 of rounding's damage.
    assert output_error(weight - gptq, hessian).sum() < 0.6 * output_error(weight - nearest, hessian).sum()


def test_uncorrelated_inputs_leave_nothing_to_make_up_for():
    weight = weights(8, 40)
    quantized = quantize_gptq(weight, torch.diag(torch.linspace(1, 9, 40)), 5)
    assert torch.equal(quantized.values, quantize_rows(weight, 5).values)


def test_each_row_takes_the_clip_of_least_damage():
    weight, hessian, quantiles = weights(10, 64) ** 3, correlated_hessian(64), (0.9, 0.97, 1.0)
    searched = quantize_gptq(weight, hessian, 4, SearchClip(quantiles))
    alone = [
        output_error(weight - dequantize_rows(quantize_gptq(weight, hessian, 4, QuantileClip(q))), hessian)
        for q in quantiles
    ]
    best = torch.stack(alone).amin(dim=0)
    assert torch.allclose(output_error(weight - dequantize_rows(searched), hessian), best, rtol=1e-3)


def test_an_input_that_is_never_used_is_stored_as_zeros():
    weight, hessian = weights(4, 10), correlated_hessian(10)
    hessian[3], hessian[:, 3] = 0.0, 0.0
    assert not quantize_gptq(weight, hessian, 6).values[:, 3].any()


def test_damp_grows_until_the_hessian_is_definite_or_it_is_refused():
    barely = torch.diag(torch.tensor([1.0, 1.0, -0.05]))  # damped by 0.01 of the mean it is not definite yet
    assert torch.isfinite(inverse_factor(barely, 0.01)).all()
    with pytest.raises(HessianError, match="not positive definite, even damped by 10 of its mean"):
        inverse_factor(torch.diag(torch.tensor([1.0, 1.0, -30.0])), 0.01)
    with pytest.raises(HessianError, match="expected a finite matrix of 4 x 4"):
        quantize_gptq(torch.ones(2, 4), torch.eye(3), 6)
    with pytest.raises(ValueError, match="damp must be positive"):
        GPTQConfig(damp=0.0)
