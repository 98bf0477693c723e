"""The training loop: warmup that is undone, a wallclock cap, and the contest's log lines.

Time counts from after the warmup and excludes validation, as in the contest (R-013). The warmup runs real
steps so that kernels are compiled and caches are warm; weights, optimizer states and the loader's position
are then put back, so that nothing is learned in untimed steps.

Ranks train in step: they share gradients, and the time that counts is the slowest one's, so that all have the
same rates and stop at the same step. The number of ranks changes no step by more than rounding, as long as a step
is cut into as many micro-batches in all (`TrainConfig.micro_batches`): 8, say, on 1, 2, 4 or 8 ranks.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from pgolf.averaging import WeightAverage
from pgolf.clock import Clock
from pgolf.distributed import ALONE, Ranks, all_reduce_sum, broadcast_parameters, max_over_ranks
from pgolf.evaluate.score import Score
from pgolf.late_qat import LateQAT
from pgolf.loader import Loader, side_by_side
from pgolf.model import GPT
from pgolf.optim import OptimizerConfig, OptimizerSet, lr_scale, muon_momentum
from pgolf.runtime import LossFn, Pacer, loss_fn

Log = Callable[[str], None]
VERBOSE_STEPS = 10  # the first steps are always logged, as in the contest


class TrainingDiverged(RuntimeError):
    """The loss is NaN or infinite. Lower the rates, or clip gradients."""


@dataclass(frozen=True)
class TrainConfig:
    """How long and on how much to train; the defaults are the contest's naive baseline."""

    iterations: int = 20_000
    max_wallclock_seconds: float = 600.0
    """0 is no cap: the run ends after `iterations`."""
    warmup_steps: int = 20
    train_batch_tokens: int = 524_288
    train_seq_len: int = 1024
    micro_batch_tokens: int = 65_536
    """The most tokens that a rank reads from the stream at once; gradients of more are accumulated."""
    micro_batches_at_once: int = 1
    """The most of a rank's micro-batches that go through the model side by side, as rows of one batch: the same
    tokens and losses in fewer and larger kernels, for as much more memory."""
    val_loss_every: int = 1000
    """0 validates only at the end."""
    train_log_every: int = 200
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    ema_decay: float = 0.0
    """The model ends as the exponential moving average of its weights with this decay; 0 is none."""
    swa_every: int = 0
    """The model ends as the mean of its weights after every so many steps; 0 is none."""
    average_below: float = 1.0
    """EMA and SWA begin once rates are scaled by this or less; 1 is the whole run."""
    late_qat_threshold: float = 0.0
    """Matrices are trained through their rounding once rates are scaled by less than this; 0 is never."""
    late_qat_bits: int = 6

    def __post_init__(self) -> None:
        for name in ("train_batch_tokens", "train_seq_len", "micro_batch_tokens", "micro_batches_at_once"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("iterations", "warmup_steps", "val_loss_every", "train_log_every", "swa_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 <= self.max_wallclock_seconds < math.inf:
            raise ValueError(
                f"max_wallclock_seconds must be finite and >= 0, got {self.max_wallclock_seconds}"
            )
        if self.train_batch_tokens % self.train_seq_len:
            raise ValueError(
                f"train_batch_tokens {self.train_batch_tokens} is not a multiple of "
                f"train_seq_len {self.train_seq_len}"
            )
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must be in [0, 1), got {self.ema_decay}")
        if self.ema_decay and self.swa_every:
            raise ValueError(
                f"ema_decay {self.ema_decay} and swa_every {self.swa_every}: a model ends as one average; "
                "set one of them to 0"
            )
        for name in ("average_below", "late_qat_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        if not 2 <= self.late_qat_bits <= 8:
            raise ValueError(f"late_qat_bits must be 2 to 8, got {self.late_qat_bits}")

    def micro_batches(self, world_size: int = 1) -> int:
        """How many a step has, of all ranks: the fewest equal ones of whole sequences that fit.

        Raises:
            ValueError: the step's sequences cannot be shared equally by so many ranks.
        """
        sequences = self.train_batch_tokens // self.train_seq_len
        if sequences % world_size:
            raise ValueError(
                f"{sequences} sequences of {self.train_seq_len} tokens per step cannot be shared by {world_size} "
                f"ranks; let train_batch_tokens be a multiple of {world_size * self.train_seq_len}"
            )
        fitting = max(1, self.micro_batch_tokens // self.train_seq_len)
        counts = range(world_size, sequences + 1, world_size)
        return next(n for n in counts if sequences % n == 0 and sequences // n <= fitting)

    @property
    def grad_accum_steps(self) -> int:
        """Micro-batches of a process on its own."""
        return self.micro_batches()

    @property
    def cap_ms(self) -> float | None:
        return 1000.0 * self.max_wallclock_seconds if self.max_wallclock_seconds > 0 else None


@dataclass(frozen=True)
class TrainResult:
    """How the run ended."""

    steps: int
    train_ms: float
    stopped_early: bool
    score: Score | None
    """The last validation's, of the model before quantization."""


def train(
    model: GPT,
    loader: Loader,
    config: TrainConfig,
    *,
    log: Log,
    validate: Callable[[], Score] | None = None,
    compiled: bool | None = None,
    on_step: Callable[[int, float], None] | None = None,
    ranks: Ranks = ALONE,
) -> TrainResult:
    """Train `model` in place until `iterations` or the cap, whichever comes first.

    `on_step` is called with (steps done, ms of training) after each step. With ranks, each one calls this with
    a loader of its own rank, starts from the weights of rank 0, and validates; rank 0 logs.

    Raises:
        TrainingDiverged: a logged loss is not finite.
        ValueError: a step's sequences cannot be shared by so many ranks.
    """
    log = log if ranks.is_main else say_nothing
    broadcast_parameters(model, ranks)
    loss = loss_fn(model, compiled=compiled)
    optimizers = OptimizerSet(model, config.optimizer, ranks)
    average = _average(model, config)
    late_qat = LateQAT(model, threshold=config.late_qat_threshold, bits=config.late_qat_bits)
    model.train()
    warm_up(model, loss, loader, optimizers, config, log, ranks)
    clock = Clock(model.device)
    pacer = Pacer(model.device)
    step, stop, score, elapsed_ms = 0, config.iterations == 0, None, 0.0
    while True:
        if validate is not None and (stop or (config.val_loss_every and step % config.val_loss_every == 0)):
            clock.pause()
            score = validate()
            log(f"step:{step}/{config.iterations} {score} {clock.line(step)}")
            clock.resume()
        if stop:
            break
        scale = lr_scale(
            step,
            iterations=config.iterations,
            warmdown_iters=config.optimizer.warmdown_iters,
            elapsed_ms=elapsed_ms,
            cap_ms=config.cap_ms,
            warmdown_frac=config.optimizer.warmdown_frac,
            shape=config.optimizer.warmdown_shape,
            floor=config.optimizer.min_lr_scale,
        )
        if late_qat.begins(scale):
            log(
                f"late_qat:enabled step:{step} scale:{scale:.4f} bits:{late_qat.bits} "
                f"matrices:{len(late_qat.matrices)}"
            )
        with late_qat.rounded():
            train_loss = backward(loss, loader, config, ranks)
        optimizers.step(scale=scale, momentum=muon_momentum(step, config.optimizer))
        optimizers.zero_grad()
        step += 1
        if average is not None:
            average.update(step, scale)
        pacer.tick()
        elapsed_ms = clock.ms() if config.cap_ms is None else max_over_ranks(clock.ms(), ranks)
        stop = step == config.iterations or (config.cap_ms is not None and elapsed_ms >= config.cap_ms)
        regular = config.train_log_every and step % config.train_log_every == 0
        if config.train_log_every and (step <= VERBOSE_STEPS or regular or stop):
            value = all_reduce_sum(train_loss, ranks).item()
            if not math.isfinite(value):
                raise TrainingDiverged(
                    f"train_loss is {value} at step {step}; lower the rates or set grad_clip_norm"
                )
            log(f"step:{step}/{config.iterations} train_loss:{value:.4f} {clock.line(step)}")
        if on_step is not None:
            on_step(step, elapsed_ms)
        if stop and average is not None:
            average.apply()
            log(f"{average.kind}:applied steps:{average.count}")
    clock.pause()
    stopped_early = step < config.iterations
    if stopped_early:
        log(f"stopping_early: wallclock_cap train_time:{clock.ms():.0f}ms step:{step}/{config.iterations}")
    return TrainResult(steps=step, train_ms=clock.ms(), stopped_early=stopped_early, score=score)


def warm_up(
    model: GPT,
    loss: LossFn,
    loader: Loader,
    optimizers: OptimizerSet,
    config: TrainConfig,
    log: Log,
    ranks: Ranks = ALONE,
) -> None:
    """Run `warmup_steps` real steps, then put weights, optimizers and loader back as they were."""
    if config.warmup_steps == 0:
        return
    weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    states = copy.deepcopy(optimizers.state_dict())
    position = loader.position()
    for step in range(1, config.warmup_steps + 1):
        backward(loss, loader, config, ranks)
        optimizers.step(scale=1.0, momentum=config.optimizer.muon_momentum)
        optimizers.zero_grad()
        if config.warmup_steps <= 20 or step % 10 == 0 or step == config.warmup_steps:
            log(f"warmup_step:{step}/{config.warmup_steps}")
    model.load_state_dict(weights)
    optimizers.load_state_dict(states)
    loader.restore(position)


def backward(loss: LossFn, loader: Loader, config: TrainConfig, ranks: Ranks = ALONE) -> torch.Tensor:
    """Accumulate this rank's gradients of one step; returns its part of the step's mean loss, in nats, detached.

    Losses and gradients are those of the step once they are summed over ranks.
    """
    micro_batches = config.micro_batches(ranks.world_size)
    mine = micro_batches // ranks.world_size
    # All groups are of one shape, which is compiled once.
    together = max(n for n in range(1, config.micro_batches_at_once + 1) if mine % n == 0)
    total: torch.Tensor | None = None
    for _ in range(mine // together):
        batch = side_by_side(
            [
                loader.next_batch(config.train_batch_tokens, config.train_seq_len, mine)
                for _ in range(together)
            ]
        )
        share = loss(*batch) / (micro_batches // together)
        torch.autograd.backward(share)
        total = share.detach() if total is None else total + share.detach()
    assert total is not None
    return total


def _average(model: GPT, config: TrainConfig) -> WeightAverage | None:
    if config.ema_decay:
        return WeightAverage(model, "ema", decay=config.ema_decay, below=config.average_below)
    if config.swa_every:
        return WeightAverage(model, "swa", every=config.swa_every, below=config.average_below)
    return None


def say_nothing(line: str) -> None:
    """The log of the ranks that are not rank 0."""
