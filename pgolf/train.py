"""The training loop: warmup that is undone, a wallclock cap, and the contest's log lines.

Time counts from after the warmup and excludes validation, as in the contest (R-013). The warmup runs real
steps so that kernels are compiled and caches are warm; weights, optimizer states and the loader's position
are then put back, so that nothing is learned in untimed steps.

One process now. For more ranks: give each its loader rank, average gradients before `OptimizerSet.step`, and
take the maximum of `elapsed_ms` over ranks before the cap is checked.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from pgolf.evaluate.score import Score
from pgolf.loader import Loader
from pgolf.model import GPT
from pgolf.optim import OptimizerConfig, OptimizerSet, lr_scale, muon_momentum
from pgolf.runtime import LossFn, Pacer, loss_fn, synchronize

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
    """The most tokens in one forward and backward; gradients of more are accumulated."""
    val_loss_every: int = 1000
    """0 validates only at the end."""
    train_log_every: int = 200
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)

    def __post_init__(self) -> None:
        for name in ("train_batch_tokens", "train_seq_len", "micro_batch_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("iterations", "warmup_steps", "val_loss_every", "train_log_every"):
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

    @property
    def grad_accum_steps(self) -> int:
        """The fewest equal micro-batches of whole sequences that fit `micro_batch_tokens`."""
        sequences = self.train_batch_tokens // self.train_seq_len
        fitting = max(1, self.micro_batch_tokens // self.train_seq_len)
        return next(n for n in range(1, sequences + 1) if sequences % n == 0 and sequences // n <= fitting)

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
) -> TrainResult:
    """Train `model` in place until `iterations` or the cap, whichever comes first.

    `on_step` is called with (steps done, ms of training) after each step.

    Raises:
        TrainingDiverged: a logged loss is not finite.
    """
    loss = loss_fn(model, compiled=compiled)
    optimizers = OptimizerSet(model, config.optimizer)
    model.train()
    warm_up(model, loss, loader, optimizers, config, log)
    clock = Clock(model.device)
    pacer = Pacer(model.device)
    step, stop, score = 0, config.iterations == 0, None
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
            elapsed_ms=clock.ms(),
            cap_ms=config.cap_ms,
        )
        train_loss = backward(loss, loader, config)
        optimizers.step(scale=scale, momentum=muon_momentum(step, config.optimizer))
        optimizers.zero_grad()
        pacer.tick()
        step += 1
        capped = config.cap_ms is not None and clock.ms() >= config.cap_ms
        stop = capped or step == config.iterations
        regular = config.train_log_every and step % config.train_log_every == 0
        if config.train_log_every and (step <= VERBOSE_STEPS or regular or stop):
            value = train_loss.item()
            if not math.isfinite(value):
                raise TrainingDiverged(
                    f"train_loss is {value} at step {step}; lower the rates or set grad_clip_norm"
                )
            log(f"step:{step}/{config.iterations} train_loss:{value:.4f} {clock.line(step)}")
        if on_step is not None:
            on_step(step, clock.ms())
    clock.pause()
    stopped_early = step < config.iterations
    if stopped_early:
        log(f"stopping_early: wallclock_cap train_time:{clock.ms():.0f}ms step:{step}/{config.iterations}")
    return TrainResult(steps=step, train_ms=clock.ms(), stopped_early=stopped_early, score=score)


def warm_up(
    model: GPT, loss: LossFn, loader: Loader, optimizers: OptimizerSet, config: TrainConfig, log: Log
) -> None:
    """Run `warmup_steps` real steps, then put weights, optimizers and loader back as they were."""
    if config.warmup_steps == 0:
        return
    weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    states = copy.deepcopy(optimizers.state_dict())
    position = loader.position()
    for step in range(1, config.warmup_steps + 1):
        backward(loss, loader, config)
        optimizers.step(scale=1.0, momentum=config.optimizer.muon_momentum)
        optimizers.zero_grad()
        if config.warmup_steps <= 20 or step % 10 == 0 or step == config.warmup_steps:
            log(f"warmup_step:{step}/{config.warmup_steps}")
    model.load_state_dict(weights)
    optimizers.load_state_dict(states)
    loader.restore(position)


def backward(loss: LossFn, loader: Loader, config: TrainConfig) -> torch.Tensor:
    """Accumulate the gradients of one step; returns its mean loss in nats, detached."""
    total: torch.Tensor | None = None
    for _ in range(config.grad_accum_steps):
        inputs_BT, targets_BT = loader.next_batch(
            config.train_batch_tokens, config.train_seq_len, config.grad_accum_steps
        )
        share = loss(inputs_BT, targets_BT) / config.grad_accum_steps
        torch.autograd.backward(share)
        total = share.detach() if total is None else total + share.detach()
    assert total is not None
    return total


class Clock:
    """Training time in ms: runs from its creation, stops while validation runs."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._held_ms = 0.0
        self._since: float | None = None
        self.resume()

    def resume(self) -> None:
        synchronize(self.device)
        self._since = time.perf_counter()

    def pause(self) -> None:
        synchronize(self.device)
        self._held_ms, self._since = self.ms(), None

    def ms(self) -> float:
        running = 0.0 if self._since is None else time.perf_counter() - self._since
        return self._held_ms + 1000.0 * running

    def line(self, step: int) -> str:
        """The end of a log line: total and mean time."""
        now = self.ms()
        return f"train_time:{now:.0f}ms step_avg:{now / max(step, 1):.2f}ms"
