"""Named runs: a model and how to train it.

`tiny` is for a laptop's CPU, `naive-baseline` the contest's, `eleven-layer` the shape of the seed system (#1430) and
of most March records, `hybrid` the same with state-space layers for the first ones (#1644, #2066).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pgolf.model import GPTConfig
from pgolf.optim import OptimizerConfig
from pgolf.train import TrainConfig


@dataclass(frozen=True)
class Preset:
    model: GPTConfig
    train: TrainConfig


ELEVEN_LAYERS = GPTConfig(
    num_layers=11,
    mlp_mult=3,
    mlp_activation="leaky_relu2",
    qk_gain_init=4.0,
    rope_dims=16,
    ln_scale=True,
    xsa_last_n=11,
    smear_gate=True,
    bigram_vocab_size=2048,
    value_embed_dim=128,
    value_embed_layers=(9, 10),
    mtp_heads=2,
)
ELEVEN_LAYER_TRAINING = TrainConfig(
    train_batch_tokens=786_432,
    train_seq_len=2048,
    micro_batches_at_once=2,
    optimizer=OptimizerConfig(
        matrix_lr=0.025,
        tied_embed_lr=0.035,
        scalar_lr=0.025,
        muon_momentum=0.99,
        muon_momentum_warmup_start=0.92,
        muon_momentum_warmup_steps=1500,
        warmdown_frac=0.5,  # 3,500 of its 6,900 steps
        grad_clip_norm=0.3,
    ),
)

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
    # 35 GiB of a GPU for four at once; one at a time is 5% slower on an H200 (docs/performance.md).
    "naive-baseline": Preset(GPTConfig.naive_baseline(), TrainConfig(micro_batches_at_once=4)),
    "eleven-layer": Preset(ELEVEN_LAYERS, ELEVEN_LAYER_TRAINING),
    "hybrid": Preset(replace(ELEVEN_LAYERS, ssm_layers=(0, 1, 2, 4, 5, 6, 8)), ELEVEN_LAYER_TRAINING),
}
