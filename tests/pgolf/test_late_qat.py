"""Late QAT computes with the weights that the artifact will hold, and trains the exact ones."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pgolf.compress import QuantileClip, dequantize_rows, quantize_rows
from pgolf.late_qat import LateQAT, fake_quantize_rows
from pgolf.model import GPT, GPTConfig
from pgolf.optim import split_parameters

SHAPE = GPTConfig(vocab_size=32, num_layers=2, model_dim=16, num_heads=2, num_kv_heads=1)


@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 40),
    bits=st.integers(2, 8),
    seed=st.integers(0, 2**16),
    scale=st.sampled_from([1e-9, 1e-3, 1.0, 1e3]),
    quantile=st.sampled_from([0.9999984, 1.0, 0.5, 0.9, 0.01]),
)
def test_the_rounding_is_the_artifacts_bit_for_bit(rows, columns, bits, seed, scale, quantile):
    matrix = scale * torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    expected = dequantize_rows(quantize_rows(matrix, bits, QuantileClip(quantile)))
    ours = fake_quantize_rows(matrix, bits, quantile)
    assert torch.equal(ours, expected)
    assert not torch.signbit(ours[ours == 0]).any()


def test_a_stack_and_long_rows_round_as_each_matrix():
    torch.manual_seed(0)
    stack = torch.randn(2, 3, 2048)
    stack[1, 1] = 0.0
    expected = torch.stack([dequantize_rows(quantize_rows(matrix, 6)) for matrix in stack])
    assert torch.equal(fake_quantize_rows(stack, 6), expected)


def model_and_batch():
    torch.manual_seed(0)
    model = GPT(SHAPE)
    with torch.no_grad():
        for matrix in split_parameters(model).matrices:
            matrix.normal_(std=0.2)  # the projections begin at zero, which rounds to itself
    ids = torch.randint(0, 32, (2, 17))
    return model, ids[:, :-1], ids[:, 1:]


def test_losses_and_gradients_are_those_of_the_rounded_model():
    model, inputs, targets = model_and_batch()
    rounded = copy.deepcopy(model)
    for matrix in split_parameters(rounded).matrices:
        matrix.data = dequantize_rows(quantize_rows(matrix, 6))
    expected = rounded.loss(inputs, targets)
    expected.backward()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    qat = LateQAT(model, threshold=0.15, bits=6, keep_float_max_values=0)
    assert qat.begins(0.1)
    with qat.rounded():
        loss = model.loss(inputs, targets)
        loss.backward()
    assert torch.equal(loss, expected)
    assert loss != model.loss(inputs, targets)
    for ours, theirs, exact in zip(model.parameters(), rounded.parameters(), before, strict=True):
        assert torch.equal(ours.grad, theirs.grad)
        assert torch.equal(ours, exact)


def test_the_gradient_passes_straight_through_the_rounding():
    """For a loss that is linear in the weights, rounding changes the loss and leaves the gradient."""
    model, _, _ = model_and_batch()
    matrix = split_parameters(model).matrices[0]
    slope = torch.randn_like(matrix)
    qat = LateQAT(model, threshold=0.15, keep_float_max_values=0)
    qat.begins(0.0)
    with qat.rounded():
        loss = (slope * matrix).sum()
        loss.backward()
    assert loss != (slope * matrix).sum()
    assert torch.equal(matrix.grad, slope)


def test_it_begins_under_the_threshold_once_and_stays():
    model, _, _ = model_and_batch()
    qat = LateQAT(model, threshold=0.15, keep_float_max_values=0)
    exact = qat.matrices[0].detach().clone()

    def is_rounded():
        with qat.rounded():
            return not torch.equal(qat.matrices[0], exact)

    assert not is_rounded()
    assert [qat.begins(scale) for scale in (1.0, 0.15, 0.149, 0.3, 0.1)] == [False, False, True, False, False]
    assert is_rounded()


def test_weights_are_exact_again_after_an_error():
    model, _, _ = model_and_batch()
    qat = LateQAT(model, threshold=1.0, keep_float_max_values=0)
    qat.begins(0.5)
    exact = [matrix.detach().clone() for matrix in qat.matrices]
    with pytest.raises(KeyboardInterrupt), qat.rounded():
        raise KeyboardInterrupt
    assert all(torch.equal(a, b) for a, b in zip(qat.matrices, exact, strict=True))


def test_small_matrices_stay_floats_as_in_the_artifact():
    model = GPT(GPTConfig.tiny(model_dim=256))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    chosen = {names[id(matrix)].split(".", 2)[2] for matrix in LateQAT(model, threshold=0.1).matrices}
    assert chosen == {"mlp.up.weight", "mlp.proj.weight"}
