"""Control and small tensors stay floats; a matrix goes through GPTQ exactly when it has a Hessian."""

import pytest
import torch

from pgolf.compress import (
    CodebookConfig,
    CodebookTensor,
    QuantizationConfig,
    QuantizedTensor,
    StdClip,
    dequantize_state,
    quantize_gptq,
    quantize_rows,
    quantize_state,
)
from pgolf.model import GPT, GPTConfig


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(0)
    model = GPT(GPTConfig.tiny(vocab_size=1024))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.state_dict()


def test_state_keeps_control_and_small_tensors_as_floats(state):
    quantized = quantize_state(state, QuantizationConfig(matrix_bits=6, keep_float_max_values=20_000))
    assert isinstance(quantized["tok_emb.weight"], QuantizedTensor)
    assert quantized["tok_emb.weight"].bits == 8
    assert quantized["blocks.0.mlp.up.weight"].bits == 6
    assert quantized["blocks.0.attn.query.weight"].dtype == torch.float16
    assert quantized["blocks.0.resid_mix"].dtype == torch.float32
    restored = dequantize_state(quantized)
    assert {name: tensor.shape for name, tensor in restored.items()} == {n: t.shape for n, t in state.items()}


def test_a_matrix_goes_through_gptq_exactly_when_it_has_a_hessian(state):
    name, other = "blocks.0.mlp.up.weight", "blocks.1.mlp.up.weight"
    inputs = torch.randn(400, 128) @ torch.randn(128, 128)
    hessian = inputs.T @ inputs / 400
    config = QuantizationConfig(
        matrix_bits=4, matrix_clip=StdClip(4.0), embedding_bits=7, embedding_group_size=32,
        keep_float_max_values=20_000,
    )  # fmt: skip
    quantized = quantize_state(state, config, {name: hessian})
    assert torch.equal(quantized[name].values, quantize_gptq(state[name], hessian, 4, StdClip(4.0)).values)
    assert torch.equal(quantized[other].values, quantize_rows(state[other], 4, StdClip(4.0)).values)
    assert quantized["tok_emb.weight"].scales.shape == (1024, 4)
    assert quantized["tok_emb.weight"].bits == 7


def test_a_codebook_takes_the_place_of_integers(state):
    config = QuantizationConfig(
        matrix_codebook=CodebookConfig(width=4, entries=8, iterations=1), keep_float_max_values=20_000
    )
    quantized = quantize_state(state, config)
    assert isinstance(quantized["blocks.0.mlp.up.weight"], CodebookTensor)
    assert isinstance(quantized["tok_emb.weight"], QuantizedTensor)


def test_errors_name_the_tensor(state):
    diverged = dict(state, **{"blocks.1.mlp.up.weight": torch.full((256, 600), torch.nan)})
    with pytest.raises(ValueError, match=r"blocks\.1\.mlp\.up\.weight: the matrix holds NaN"):
        quantize_state(diverged, QuantizationConfig())
    with pytest.raises(ValueError, match="Hessians of nowhere, which the model does not hold"):
        quantize_state(state, QuantizationConfig(), {"nowhere": torch.eye(2)})
    with pytest.raises(ValueError, match="matrix_bits: bits must be 2 to 8, got 9"):
        QuantizationConfig(matrix_bits=9)
