"""The stack on one CUDA device: `make test-gpu`. Skipped where there is none, never part of CI."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pgolf.loader import TokenLoader
from pgolf.model import GPT, GPTConfig
from pgolf.runtime import place
from pgolf.shards import write_shard
from pgolf.train import TrainConfig, train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    # torch.compile warns about its own internals on some releases
    pytest.mark.filterwarnings("default"),
]


def test_bf16_on_the_gpu_agrees_with_fp32_on_the_cpu() -> None:
    torch.manual_seed(0)
    config = GPTConfig.naive_baseline(num_layers=3)
    reference = GPT(config)
    tokens = torch.randint(0, config.vocab_size, (2, 257))
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    expected = reference.loss(inputs, targets).item()
    fast = place(GPT(config, torch.bfloat16), torch.device("cuda"))
    fast.load_state_dict(reference.state_dict())
    with torch.no_grad():
        measured = fast.loss(inputs.cuda(), targets.cuda()).item()
    assert measured == pytest.approx(expected, abs=2e-3)


def test_the_naive_baseline_learns_at_full_width(tmp_path: Path) -> None:
    # Ids that repeat with period 64: a model that learns at all falls far below ln 1024 = 6.93.
    ids = torch.arange(1 << 20).remainder(64).add(4).to(torch.int32).numpy()
    write_shard(tmp_path / "fineweb_train_000000.bin", ids)
    model = place(GPT(GPTConfig.naive_baseline(), torch.bfloat16), torch.device("cuda"))
    lines: list[str] = []
    config = TrainConfig(iterations=20, warmup_steps=2, train_batch_tokens=131_072, val_loss_every=0)
    result = train(
        model, TokenLoader(str(tmp_path / "fineweb_train_*.bin"), device="cuda"), config, log=lines.append
    )
    assert result.steps == 20
    losses = [float(line.split("train_loss:")[1].split()[0]) for line in lines if "train_loss:" in line]
    assert losses[-1] < 3.0 < losses[0]
