"""`GPT.fuse`: the same losses and gradients as the model as written, in fewer passes over memory."""

import dataclasses

import pytest
import torch

from pgolf.model import GPT
from pgolf.presets import PRESETS

from .reference import random_model, small

on_cuda = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.filterwarnings("default"),
]
EVERYTHING = {
    "num_layers": 4,
    "mlp_activation": "leaky_relu2",
    "rope_dims": 2,
    "xsa_last_n": 3,
    "value_residual": True,
    "gated_attention": True,
    "smear_gate": True,
    "ssm_layers": (2,),
    "ln_scale": True,
}

THREE_LAYERS = {
    "naive-baseline": dataclasses.replace(PRESETS["naive-baseline"].model, num_layers=3),
    "eleven-layer": dataclasses.replace(
        PRESETS["eleven-layer"].model, num_layers=3, value_embed_layers=(1, 2), xsa_last_n=3
    ),
}


def gradients(model, ids_BT):
    loss = model.loss(ids_BT[:, :-1], ids_BT[:, 1:])
    loss.backward()
    return loss.detach(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    "changes", [{}, {"parallel_from": 0}, EVERYTHING], ids=["baseline", "parallel", "everything"]
)
def test_a_fused_model_has_the_losses_and_gradients_of_the_model_as_written(changes):
    written, fused = random_model(small(**changes)), random_model(small(**changes))
    fused.fuse()
    ids_BT = torch.randint(0, written.config.vocab_size, (3, 14), generator=torch.Generator().manual_seed(5))
    expected, expected_grads = gradients(written, ids_BT)
    loss, grads = gradients(fused, ids_BT)
    torch.testing.assert_close(loss, expected, atol=2e-6, rtol=2e-6)
    assert grads.keys() == expected_grads.keys()
    for name, grad in grads.items():
        assert (grad - expected_grads[name]).norm() <= 2e-4 * expected_grads[name].norm() + 1e-6, name


def test_hooks_on_single_maps_see_a_fused_model_that_is_not_in_training():
    model = random_model(small())
    model.fuse()
    called = []
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(lambda *_, name=name: called.append(name))
    ids_BT = torch.zeros(1, 5, dtype=torch.int64)
    model.eval().hidden_states(ids_BT)
    assert {name.rpartition(".")[2] for name in called} == {"query", "key", "value", "proj", "up"}


def test_tables_of_more_positions_than_are_kept_are_made_anew(monkeypatch):
    monkeypatch.setattr("pgolf.model.gpt.KEPT_POSITIONS", 4)
    written, fused = random_model(small()), random_model(small())
    fused.fuse()
    ids_BT = torch.zeros(1, 9, dtype=torch.int64)
    torch.testing.assert_close(fused.eval()(ids_BT), written.eval()(ids_BT), atol=0, rtol=0)


@pytest.mark.parametrize("preset", ["naive-baseline", "eleven-layer"])
@pytest.mark.parametrize("compiled", [False, True])
class TestOnCuda:
    pytestmark = on_cuda

    def test_the_kernel_is_as_close_to_fp32_as_the_model_as_written(self, preset, compiled):
        """The reference is fp32 on the CPU; the model as written in bf16 is the measure of what rounding does."""
        config = THREE_LAYERS[preset]
        ids_BT = torch.randint(0, 1024, (2, 257), generator=torch.Generator().manual_seed(5))
        exact, exact_grads = gradients(random_model(config, std=0.05), ids_BT)
        gaps = {}
        for kind in ("written", "fused"):
            model = GPT(config, torch.bfloat16)
            model.load_state_dict(random_model(config, std=0.05).state_dict())
            model.cuda()
            if kind == "fused":
                model.fuse()
                assert model.blocks[0].attn.turn is not None
            if compiled:
                model.loss = torch.compile(model.loss, fullgraph=True, dynamic=False)
            loss, grads = gradients(model, ids_BT.cuda())
            worst = max(
                float((grads[n].cpu() - grad).norm() / grad.norm())
                for n, grad in exact_grads.items()
                if grad.norm() > 0
            )
            gaps[kind] = (abs(float(loss.cpu() - exact)), worst)
        assert gaps["fused"][0] < 2 * gaps["written"][0] + 2e-3
        assert gaps["fused"][1] < 1.5 * gaps["written"][1] + 1e-2
