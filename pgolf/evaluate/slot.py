"""Context-only SLOT: fit a small shift of each window's hidden states to the part of it already scored.

A delta of shape (D,), and on request a logit bias of shape (V,), are optimized per window by AdamW on the
targets of its context, which earlier windows have scored, and then serve its new positions. Nothing is
kept between windows, and no window of a batch sees another's: a delta shared over a batch of overlapping
windows would carry tokens from later ones (rule R-041, #1350). A window without context keeps a delta of
zero. Fitting to the scored positions themselves is the illegal form (rule R-040). Sources: SLOT, #1176;
context-only, #1217 and #1350. Costs one sliding pass and `steps` passes through the head.

Shapes: B windows, C context positions, D model width, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pgolf.evaluate.method import Where
from pgolf.evaluate.sliding import Sliding
from pgolf.evaluate.windows import Window
from pgolf.model import GPT


@dataclass(frozen=True)
class SLOTConfig:
    """How to fit the delta; the defaults are #1350's hidden-space settings."""

    steps: int = 8
    lr: float = 0.005
    lr_min: float = 0.0005
    """Reached at the last step, by half a cosine."""
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 1e-8
    eps: float = 1e-5
    logit_bias: bool = False
    """Also fit a bias on the logits."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")
        if not 0 <= self.lr_min <= self.lr:
            raise ValueError(f"lr_min must be between 0 and lr {self.lr}, got {self.lr_min}")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if not self.eps > 0 or self.weight_decay < 0:
            raise ValueError(
                f"eps must be positive and weight_decay not negative, got {self.eps} and {self.weight_decay}"
            )

    def lr_at(self, step: int) -> float:
        done = step / max(1, self.steps - 1)
        return self.lr_min + (self.lr - self.lr_min) * 0.5 * (1 + math.cos(math.pi * done))


class ContextSLOT(Sliding):
    """Sliding windows, each with a delta of its own."""

    def __init__(
        self, model: GPT, seq_len: int, stride: int, config: SLOTConfig, *, compiled: bool | None = None
    ) -> None:
        super().__init__(model, seq_len, stride, compiled=compiled, name="slot")
        self.config = config

    def logits(self, inputs_BT: Tensor, windows: Sequence[Window], where: Where) -> Tensor:
        hidden_BTD = self.hidden(inputs_BT)
        context = [window.score_from - window.start for window in windows]
        delta_B1D, bias_B1V = self.fit(hidden_BTD, inputs_BT, context)
        rows_P = where.rows_P
        hidden_PD = hidden_BTD[rows_P, where.columns_P] + delta_B1D[rows_P, 0].to(hidden_BTD.dtype)
        return self.model.head(hidden_PD[None])[0] + bias_B1V[rows_P, 0]

    @torch.enable_grad()
    def fit(self, hidden_BTD: Tensor, inputs_BT: Tensor, context: Sequence[int]) -> tuple[Tensor, Tensor]:
        """(delta_B1D, bias_B1V), each row from the first `context[row]` positions of that row alone."""
        batch, _, width = hidden_BTD.shape
        longest = max(context)
        delta_B1D = torch.zeros(batch, 1, width, device=self.device)
        bias_B1V = torch.zeros(batch, 1, self.model.config.vocab_size, device=self.device)
        if longest == 0:
            return delta_B1D, bias_B1V
        fitted = [delta_B1D, bias_B1V] if self.config.logit_bias else [delta_B1D]
        for values in fitted:
            values.requires_grad_()
        # The target of the last context position is the window's first new input: it has been scored.
        hidden_BCD = hidden_BTD[:, :longest].detach()
        targets_BC = inputs_BT[:, 1 : longest + 1]
        count_B1 = torch.tensor(context, device=self.device)[:, None]
        weight_BC = (torch.arange(longest, device=self.device) < count_B1) / count_B1.clamp_min(1)
        optimizer = torch.optim.AdamW(
            fitted,
            lr=self.config.lr,
            betas=(self.config.beta1, self.config.beta2),
            eps=self.config.eps,
            weight_decay=self.config.weight_decay,
        )
        for step in range(self.config.steps):
            optimizer.param_groups[0]["lr"] = self.config.lr_at(step)
            logits_BCV = self.model.head(hidden_BCD + delta_B1D.to(hidden_BCD.dtype)) + bias_B1V
            nats_BC = F.cross_entropy(logits_BCV.transpose(1, 2), targets_BC, reduction="none")
            # A sum over rows of each row's mean: no row's gradient knows how many others there are.
            gradients = torch.autograd.grad((nats_BC * weight_BC).sum(), fitted)
            for values, gradient in zip(fitted, gradients, strict=True):
                values.grad = gradient
            optimizer.step()
        return delta_B1D.detach(), bias_B1V.detach()
