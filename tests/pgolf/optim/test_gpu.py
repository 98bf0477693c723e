"""What differs on a CUDA device: `make test-gpu`. Skipped where there is none, never part of CI."""

from __future__ import annotations

import pytest
import torch

from pgolf.compress import dequantize_rows, quantize_rows
from pgolf.late_qat import fake_quantize_rows
from pgolf.model import GPT, GPTConfig
from pgolf.optim import Muon, OptimizerConfig, OptimizerSet

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    # torch.compile warns about its own internals on some releases
    pytest.mark.filterwarnings("default"),
]


@pytest.mark.parametrize("variant", ["muon", "muoneq_r", "normuon", "mousse"])
@pytest.mark.parametrize("compiled", [False, True])
def test_muon_on_the_gpu_follows_muon_on_the_cpu(variant, compiled):
    torch.manual_seed(0)
    start, grads = torch.randn(3, 64, 128), torch.randn(4, 3, 64, 128)
    ends = []
    for device in ("cpu", "cuda"):
        weights = [torch.nn.Parameter(matrix.clone().to(device)) for matrix in start]
        muon = Muon(weights, lr=0.1, variant=variant, compiled=compiled and device == "cuda")
        for grad in grads:
            for weight, own in zip(weights, grad, strict=True):
                weight.grad = own.to(device)
            muon.step()
        ends.append(torch.stack([weight.detach().cpu() for weight in weights]))
    moved = ends[0] - start
    assert (ends[1] - ends[0]).norm() < 0.03 * moved.norm()  # bf16 products there, fp32 here


def test_the_fake_rounding_is_the_artifacts_there_too():
    torch.manual_seed(0)
    matrix = torch.randn(64, 512)
    rounded = fake_quantize_rows(matrix.cuda(), 6).cpu()
    torch.testing.assert_close(rounded, dequantize_rows(quantize_rows(matrix, 6)), atol=0, rtol=0)


def test_a_step_of_all_optimizers_waits_for_nothing():
    model = GPT(GPTConfig.tiny(), torch.bfloat16).cuda()
    optimizers = OptimizerSet(model, OptimizerConfig(muon_variant="normuon", grad_clip_norm=1.0))
    ids = torch.randint(0, 1024, (2, 65), device="cuda")
    for step in range(3):
        model.loss(ids[:, :-1], ids[:, 1:]).backward()
        torch.cuda.set_sync_debug_mode("error" if step == 2 else "default")
        try:
            optimizers.step(scale=0.5, momentum=0.9)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        optimizers.zero_grad()
