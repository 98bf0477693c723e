"""Where calibration tokens come from: training data within the training budget, or the model itself.

Two sources are legal. Training tokens, as long as the reading is over when the training budget is (R-015,
#606: 3.6 s too late was too late): `CalibrationConfig.within` takes a reserve off the training loop, and
calibration stops before it has used that up (#1868 reserves 8 s). Or text that the model writes itself, with
no data at all (#1019), which must fit the budget too.

There is no third function here, one that takes validation tokens: weights fitted to text that has not been
scored yet carry that text into its own score (R-017, #728).

Shapes: B sequences, T positions, V vocabulary.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pgolf.compress.hessian import Calibration, collect_hessians
from pgolf.loader import TokenLoader
from pgolf.model import GPT
from pgolf.train import Log, TrainConfig


@dataclass(frozen=True)
class CalibrationConfig:
    """How much text to calibrate on, and how much of the training budget it may take."""

    sequences: int = 64
    """#1019 has 64 sequences of 2,048 tokens."""
    seq_len: int = 1024
    batch_sequences: int = 16
    reserve_seconds: float = 8.0
    temperature: float = 0.8
    """Of self-written text."""
    seed: int = 42
    """Of self-written text."""

    def __post_init__(self) -> None:
        for name in ("sequences", "batch_sequences"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.seq_len < 2:
            raise ValueError(f"seq_len must be at least 2, got {self.seq_len}")
        for name in ("reserve_seconds", "temperature"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)}")

    def within(self, train: TrainConfig) -> TrainConfig:
        """`train` with the reserve off its wallclock cap. Without a cap there is nothing to take it off."""
        if train.max_wallclock_seconds == 0:
            return train
        left = train.max_wallclock_seconds - self.reserve_seconds
        if left <= 0:
            raise ValueError(
                f"reserve_seconds {self.reserve_seconds} leaves nothing of max_wallclock_seconds "
                f"{train.max_wallclock_seconds}"
            )
        return dataclasses.replace(train, max_wallclock_seconds=left)

    @property
    def batch_sizes(self) -> list[int]:
        """Sequences of each batch; the last one may be smaller."""
        whole, rest = divmod(self.sequences, self.batch_sequences)
        return [self.batch_sequences] * whole + [rest] * (rest > 0)


def calibrate_on_training_data(
    model: GPT, loader: TokenLoader, config: CalibrationConfig, log: Log
) -> Calibration:
    """Hessians from the loader's next sequences. Call it right after `train`, which ran `config.within(...)`."""
    batches = (loader.next_batch(size * config.seq_len, config.seq_len)[0] for size in config.batch_sizes)
    return _calibrate(model, batches, config, "training data", log)


def calibrate_on_own_text(model: GPT, config: CalibrationConfig, log: Log) -> Calibration:
    """Hessians from text that the model writes; the time that writing takes counts against the reserve."""
    return _calibrate(model, own_text(model, config), config, "self-generated text", log)


def own_text(model: GPT, config: CalibrationConfig) -> Iterator[Tensor]:
    """Batches of ids_BT, sampled token by token from the model. No data is read.

    The first token of a sequence is drawn evenly from the vocabulary; each later one from the model's
    distribution at `temperature`. The same weights, config and device give the same text.
    """
    generator = torch.Generator(device=model.device).manual_seed(config.seed)
    for size in config.batch_sizes:
        yield sample(model, size, config, generator)


@torch.no_grad()
def sample(model: GPT, sequences: int, config: CalibrationConfig, generator: torch.Generator) -> Tensor:
    """ids_BT of `sequences` texts, by running the model anew on each prefix."""
    ids_BT = torch.empty(sequences, config.seq_len, dtype=torch.int64, device=model.device)
    ids_BT[:, 0].random_(0, model.config.vocab_size, generator=generator)
    for position in range(1, config.seq_len):
        hidden_BTD = model.hidden_states(ids_BT[:, :position])
        logits_BV = model.head(hidden_BTD[:, -1:])[:, 0]
        probabilities_BV = torch.softmax(logits_BV.float() / config.temperature, dim=-1)
        ids_BT[:, position] = torch.multinomial(probabilities_BV, 1, generator=generator)[:, 0]
    return ids_BT


def _calibrate(
    model: GPT, batches: Iterator[Tensor], config: CalibrationConfig, source: str, log: Log
) -> Calibration:
    log(f"GPTQ:collecting Hessians from {source}...")
    made = collect_hessians(model, batches, limit_seconds=config.reserve_seconds)
    log(
        f"GPTQ:collected {len(made.hessians)} Hessians in {made.seconds:.1f}s "
        f"(reserve:{config.reserve_seconds:.1f}s batches:{made.batches}/{len(config.batch_sizes)} "
        f"tokens:{made.tokens})"
    )
    return made
