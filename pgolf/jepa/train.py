"""Train a byte-level JEPA on text, score it by the contest's rule, and set it beside counted bytes.

The alphabet is 256 bytes and BOS; BOS counts no byte, but its loss is in the sum, as for every tokenizer here.
Scored in overlapping windows by the same scorer as a GPT.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from pgolf import corpus
from pgolf.bytes import ByteTable
from pgolf.evaluate.score import Score, score_stream
from pgolf.evaluate.windows import StreamScorer, plan_windows
from pgolf.jepa.model import BOS, JEPA, VOCAB, JEPAConfig
from pgolf.jepa.objective import Spread, spread

Log = Callable[[str], None]


@dataclass(frozen=True)
class JEPATraining:
    """How long and on how much to train; the defaults take about 70 CPU seconds."""

    steps: int = 500
    batch: int = 8
    """Sequences per step, each of the longest length that the model reads."""
    lr: float = 3e-3
    warmup_steps: int = 30
    weight_decay: float = 0.01
    train_bytes: int = 4_000_000
    """Of the embedded corpus, when `run` builds the streams."""
    val_bytes: int = 100_000
    seed: int = 1337
    log_every: int = 100

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "train_bytes", "val_bytes", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.lr > 0:
            raise ValueError(f"lr must be positive, got {self.lr}")


@dataclass(frozen=True)
class JEPAReport:
    """What a run measured."""

    score: Score
    unigram_bpb: float
    bigram_bpb: float
    first_latent_loss: float
    """Mean of the first tenth of the steps."""
    last_latent_loss: float
    """Mean of the last tenth."""
    first_spread: Spread
    """Of the target encoder's latents of validation text, before training."""
    last_spread: Spread
    parameters: int
    """Those that scoring needs."""
    train_seconds: float


@dataclass
class History:
    """One value per step, in order."""

    byte_nats: list[float] = field(default_factory=list)
    latent: list[float] = field(default_factory=list)
    spread: list[float] = field(default_factory=list)


def run(
    config: JEPAConfig | None = None, training: JEPATraining | None = None, log: Log = lambda line: None
) -> JEPAReport:
    """Train on the embedded corpus' bytes, score its validation split, and compare: the entry point.

    Everything is drawn from `training.seed`; PyTorch's global generator is left as it was.
    """
    config, training = config or JEPAConfig(), training or JEPATraining()
    train_N = byte_stream(corpus.documents("train", training.train_bytes))
    val_N = byte_stream(corpus.documents("val", training.val_bytes))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        model = JEPA(config)
    first_spread = latent_spread(model, val_N)
    started = time.perf_counter()
    history = train_jepa(model, train_N, training, log)
    train_seconds = time.perf_counter() - started
    tenth = max(1, training.steps // 10)
    return JEPAReport(
        score=score_bytes(model, val_N),
        unigram_bpb=counted_bpb(train_N, val_N, order=1),
        bigram_bpb=counted_bpb(train_N, val_N, order=2),
        first_latent_loss=float(np.mean(history.latent[:tenth])),
        last_latent_loss=float(np.mean(history.latent[-tenth:])),
        first_spread=first_spread,
        last_spread=latent_spread(model, val_N),
        parameters=model.num_scoring_parameters(),
        train_seconds=train_seconds,
    )


def byte_stream(documents: Iterable[str]) -> NDArray[np.uint16]:
    """The UTF-8 bytes of documents as ids, BOS before each."""
    parts = [np.frombuffer(document.encode(), dtype=np.uint8).astype(np.uint16) for document in documents]
    return np.concatenate([np.append(np.uint16(BOS), part) for part in parts])


def byte_table() -> ByteTable:
    """One byte per byte id; none for BOS, which is a boundary."""
    is_bos_V = np.arange(VOCAB) == BOS
    return ByteTable((~is_bos_V).astype(np.int64), np.zeros(VOCAB, dtype=np.bool_), is_bos_V)


def train_jepa(
    model: JEPA, stream_N: NDArray[np.uint16], training: JEPATraining, log: Log = lambda line: None
) -> History:
    """Train in place on random windows of a stream; the same seed draws the same windows.

    Raises:
        ValueError: the stream is shorter than one window and its targets.
    """
    length = model.config.max_patches * model.config.patch_bytes
    if len(stream_N) < length + 1:
        raise ValueError(f"{len(stream_N)} ids; one window and its targets need {length + 1}")
    generator = torch.Generator().manual_seed(training.seed)
    stream = torch.from_numpy(stream_N.astype(np.int64))
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    adam = torch.optim.AdamW(
        parameters, lr=training.lr, betas=(0.9, 0.95), weight_decay=training.weight_decay
    )
    history = History()
    model.train()
    for step in range(training.steps):
        starts_B = torch.randint(len(stream) - length, (training.batch,), generator=generator)
        windows_BT = stream[starts_B[:, None] + torch.arange(length + 1)].to(model.device)
        for group in adam.param_groups:
            group["lr"] = training.lr * _lr_scale(step, training)
        losses = model.training_losses(windows_BT[:, :-1], windows_BT[:, 1:])
        adam.zero_grad()
        torch.autograd.backward(losses.total)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        adam.step()
        model.update_target()
        for values, loss in zip((history.byte_nats, history.latent, history.spread), losses[1:], strict=True):
            values.append(float(loss.detach()))
        if (step + 1) % training.log_every == 0 or step + 1 == training.steps:
            log(
                f"step:{step + 1}/{training.steps} byte_bits:{history.byte_nats[-1] / math.log(2):.4f} "
                f"latent_loss:{history.latent[-1]:.4f} spread_penalty:{history.spread[-1]:.4f}"
            )
    model.eval()
    return history


def _lr_scale(step: int, training: JEPATraining) -> float:
    """Linear warmup, then a cosine to zero."""
    warm = min(1.0, (step + 1) / max(1, training.warmup_steps))
    return warm * 0.5 * (1 + math.cos(math.pi * step / training.steps))


def score_bytes(model: JEPA, stream_N: NDArray[np.uint16], *, stride: int | None = None) -> Score:
    """`val_bpb` of a stream in windows of the model's length, half of it new unless `stride` says otherwise."""
    length = model.config.max_patches * model.config.patch_bytes
    scorer = StreamScorer(stream_N, model.device)
    model.eval()
    scorer.score(model.loss, plan_windows(len(stream_N) - 1, length, stride or max(1, length // 2)), 32)
    return score_stream(scorer.nats_N, stream_N, byte_table())


@torch.no_grad()
def latent_spread(model: JEPA, stream_N: NDArray[np.uint16], sequences: int = 32) -> Spread:
    """Spread of the target encoder's latents of the first `sequences` windows: has it collapsed?"""
    length = model.config.max_patches * model.config.patch_bytes
    count = min(sequences, len(stream_N) // length)
    ids_BT = torch.from_numpy(stream_N[: count * length].astype(np.int64)).view(count, length)
    latents_BMD = model.target_encoder(model.patches(ids_BT.to(model.device)))
    return spread(latents_BMD.flatten(0, 1))


def counted_bpb(train_N: NDArray[np.uint16], val_N: NDArray[np.uint16], order: int) -> float:
    """`val_bpb` of byte counts of the training stream: order 1 is the byte alone, 2 knows the one before.

    A count of 0.1 is added to each, so that nothing has probability 0.
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, got {order}")
    before, after = train_N[:-1].astype(np.int64), train_N[1:].astype(np.int64)
    counts_VV = np.bincount(before * VOCAB + after, minlength=VOCAB * VOCAB).reshape(VOCAB, VOCAB) + 0.1
    if order == 1:
        counts_VV = np.broadcast_to(counts_VV.sum(0), (VOCAB, VOCAB))
    log_p_VV = np.log(counts_VV / counts_VV.sum(1, keepdims=True))
    return score_stream(-log_p_VV[val_N[:-1], val_N[1:]], val_N, byte_table()).val_bpb
