"""Named runs: a model and how to train it; `tiny` for a laptop's CPU, `naive-baseline` the contest's."""

from __future__ import annotations

from dataclasses import dataclass

from pgolf.model import GPTConfig
from pgolf.optim import OptimizerConfig
from pgolf.train import TrainConfig


@dataclass(frozen=True)
class Preset:
    model: GPTConfig
    train: TrainConfig


PRESETS = {
    "tiny": Preset(
        GPTConfig.tiny(),
        TrainConfig(
            iterations=2000,
            max_wallclock_seconds=40.0,
            warmup_steps=1,
            train_batch_tokens=1024,
            train_seq_len=128,
            val_loss_every=0,
            train_log_every=50,
            # The baseline's rates are for 500 times more tokens to a step.
            optimizer=OptimizerConfig(
                matrix_lr=0.02, tied_embed_lr=0.02, muon_momentum_warmup_steps=100, warmdown_iters=200
            ),
        ),
    ),
    "naive-baseline": Preset(GPTConfig.naive_baseline(), TrainConfig()),
}
