"""Which optimizer trains which parameter, and how fast at which step.

Matrices inside the blocks: Muon. Embedding tables, untied head, vectors and control tensors: Adam, each with
its own rate. The rate falls linearly to zero over the last `warmdown_iters` steps; under a wallclock cap,
over the time that so many steps take at the pace so far.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pgolf.model import GPT, parameter_role
from pgolf.model.parameters import Role
from pgolf.muon import Muon


@dataclass(frozen=True)
class OptimizerConfig:
    """Rates and moments; the defaults are the contest's naive baseline."""

    embed_lr: float = 0.6
    """Token embedding, when the head has its own weights."""
    tied_embed_lr: float = 0.05
    """Token embedding, when it is also the head."""
    head_lr: float = 0.008
    matrix_lr: float = 0.04
    scalar_lr: float = 0.04
    muon_momentum: float = 0.95
    muon_momentum_warmup_start: float = 0.85
    muon_momentum_warmup_steps: int = 500
    muon_backend_steps: int = 5
    beta1: float = 0.9
    beta2: float = 0.95
    adam_eps: float = 1e-8
    grad_clip_norm: float = 0.0
    """Largest norm of all gradients together; 0 is no clipping."""
    warmdown_iters: int = 1200

    def __post_init__(self) -> None:
        for name in ("embed_lr", "tied_embed_lr", "head_lr", "matrix_lr", "scalar_lr", "grad_clip_norm"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("muon_momentum", "muon_momentum_warmup_start", "beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        for name in ("muon_momentum_warmup_steps", "warmdown_iters"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.muon_backend_steps < 1 or self.adam_eps <= 0:
            raise ValueError(
                f"muon_backend_steps {self.muon_backend_steps} must be >= 1, adam_eps {self.adam_eps} > 0"
            )


def lr_scale(
    step: int, *, iterations: int, warmdown_iters: int, elapsed_ms: float, cap_ms: float | None
) -> float:
    """The factor on every rate before step `step` (counted from 0), from 1 down to 0.

    With a cap in ms, the warmdown is placed in time; without, in steps.
    """
    if warmdown_iters <= 0:
        return 1.0
    if cap_ms is None:
        return min(1.0, max(0.0, (iterations - step) / warmdown_iters))
    warmdown_ms = warmdown_iters * elapsed_ms / max(step, 1)
    remaining_ms = max(cap_ms - elapsed_ms, 0.0)
    return 1.0 if remaining_ms > warmdown_ms else remaining_ms / max(warmdown_ms, 1e-9)


def muon_momentum(step: int, config: OptimizerConfig) -> float:
    """Momentum at `step`: a straight line from the warmup's start to its end, then constant."""
    share = min(step / config.muon_momentum_warmup_steps, 1.0) if config.muon_momentum_warmup_steps else 1.0
    return (1 - share) * config.muon_momentum_warmup_start + share * config.muon_momentum


class OptimizerSet:
    """The optimizers of one model as one: set the schedule, step, save, restore."""

    def __init__(self, model: GPT, config: OptimizerConfig) -> None:
        self.config = config
        self.parameters = list(model.parameters())
        matrices, scalars = split_parameters(model)
        embed_lr = config.tied_embed_lr if model.lm_head is None else config.embed_lr
        adam_groups: list[dict[str, Any]] = [
            {"params": of_role(model, "embedding"), "lr": embed_lr},
            {"params": scalars, "lr": config.scalar_lr},
        ]
        if model.lm_head is not None:
            adam_groups.append({"params": [model.lm_head.weight], "lr": config.head_lr})
        self.adam = torch.optim.Adam(
            adam_groups,
            betas=(config.beta1, config.beta2),
            eps=config.adam_eps,
            fused=model.device.type == "cuda",
        )
        self.muon = Muon(matrices, config.matrix_lr, config.muon_momentum, config.muon_backend_steps)
        for group in self.adam.param_groups + self.muon.param_groups:
            group["base_lr"] = group["lr"]

    def zero_grad(self) -> None:
        self.adam.zero_grad(set_to_none=True)
        self.muon.zero_grad(set_to_none=True)

    def step(self, *, scale: float, momentum: float) -> None:
        """Clip if asked to, then update every parameter at `scale` times its base rate."""
        if self.config.grad_clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.config.grad_clip_norm)
        for group in self.adam.param_groups + self.muon.param_groups:
            group["lr"] = group["base_lr"] * scale
        for group in self.muon.param_groups:
            group["momentum"] = momentum
        self.adam.step()
        self.muon.step()

    def state_dict(self) -> dict[str, Any]:
        return {"adam": self.adam.state_dict(), "muon": self.muon.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.adam.load_state_dict(state["adam"])
        self.muon.load_state_dict(state["muon"])


def split_parameters(model: GPT) -> tuple[list[Tensor], list[Tensor]]:
    """(matrices for Muon, vectors and control tensors for Adam); embeddings and head are in neither."""
    return of_role(model, "matrix"), of_role(model, "control")


def of_role(model: GPT, role: Role) -> list[Tensor]:
    """The model's parameters of one role, but for empty ones."""
    return [p for name, p in model.named_parameters() if p.numel() and parameter_role(name, p.ndim) == role]
