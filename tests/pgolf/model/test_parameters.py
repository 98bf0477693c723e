"""Every parameter has the role that its shape and purpose ask for."""

import pytest
import torch

from pgolf.compress import QuantizationConfig, QuantizedTensor, quantize_state
from pgolf.model import CONTROL_TENSORS, GPT, parameter_role
from pgolf.optim import OptimizerConfig, OptimizerSet, split_parameters

from .reference import EVERYTHING, small


@pytest.fixture
def model():
    with torch.device("meta"):
        return GPT(small(**EVERYTHING, mtp_heads=2, tie_embeddings=False, ssm_layers=(0,)))


def test_tables_are_embeddings_and_maps_are_matrices(model):
    roles = {name: parameter_role(name, p.ndim) for name, p in model.named_parameters()}
    assert {name for name, role in roles.items() if role == "embedding"} == {
        f"{name}.weight" for name, module in model.named_modules() if isinstance(module, torch.nn.Embedding)
    }
    linear = {
        f"{name}.weight" for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)
    }
    assert {name for name, role in roles.items() if role == "matrix"} == linear - {"lm_head.weight"}
    assert roles["lm_head.weight"] == "head"


def test_whatever_steers_the_others_is_named_as_a_control_tensor(model):
    """A quantizer goes by the names alone: a control tensor that is not among them would be rounded."""
    controls = [n for n, p in model.named_parameters() if parameter_role(n, p.ndim) == "control"]
    assert all(any(control in name for control in CONTROL_TENSORS) for name in controls)
    assert all(any(control in name for name in controls) for control in CONTROL_TENSORS)


def test_optimizers_take_each_parameter_once():
    model = GPT(small(**EVERYTHING, mtp_heads=2))
    optimizers = OptimizerSet(model, OptimizerConfig())
    groups = optimizers.adam.param_groups + optimizers.muon.param_groups
    owned = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(owned) == sorted(id(parameter) for parameter in model.parameters())
    assert all(matrix.ndim == 2 for matrix in split_parameters(model)[0])


def test_tables_are_quantized_as_embeddings_and_controls_are_kept():
    model = GPT(small(**EVERYTHING))
    config = QuantizationConfig(matrix_bits=6, embedding_bits=7, keep_float_max_values=0)
    for name, tensor in quantize_state(model.state_dict(), config).items():
        role = parameter_role(name, model.state_dict()[name].ndim)
        if role == "control":
            assert isinstance(tensor, torch.Tensor)
            assert tensor.dtype == torch.float32
        else:
            assert isinstance(tensor, QuantizedTensor)
            assert tensor.bits == (7 if role == "embedding" else 6)
