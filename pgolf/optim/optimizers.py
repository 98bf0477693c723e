"""The optimizers of one model as one: clip, set the schedule, step, save, restore."""

from __future__ import annotations

from typing import Any

import torch

from pgolf.distributed import ALONE, Ranks, all_reduce_sum, sum_gradients
from pgolf.model import GPT
from pgolf.optim.config import OptimizerConfig
from pgolf.optim.groups import adam_groups, split_parameters
from pgolf.optim.muon import Muon


class OptimizerSet:
    """AdamW and Muon. With ranks, `step` first sums the gradients over them: pass each rank's own."""

    def __init__(self, model: GPT, config: OptimizerConfig, ranks: Ranks = ALONE) -> None:
        self.config = config
        self.ranks = ranks
        self.parameters = list(model.parameters())
        split = split_parameters(model)
        self.adam = torch.optim.AdamW(
            adam_groups(split, config, tied=model.lm_head is None),
            betas=(config.beta1, config.beta2),
            eps=config.adam_eps,
            fused=model.device.type == "cuda",
        )
        self.muon = Muon(
            split.matrices,
            config.matrix_lr,
            config.muon_momentum,
            config.muon_backend_steps,
            variant=config.muon_variant,
            coefficients=config.muon_coefficients,
            weight_decay=config.matrix_weight_decay,
            beta2=config.muon_beta2,
            mousse_alpha=config.mousse_alpha,
            mousse_every=config.mousse_every,
            compiled=config.compile_muon,
            ranks=ranks if config.parallel_muon else ALONE,
        )
        for group in self.adam.param_groups + self.muon.param_groups:
            group["base_lr"] = group["lr"]

    def zero_grad(self) -> None:
        self.adam.zero_grad(set_to_none=True)
        self.muon.zero_grad(set_to_none=True)

    def step(self, *, scale: float, momentum: float) -> None:
        """Sum over ranks, clip if asked to, then update every parameter at `scale` times its base rate."""
        for group in self.adam.param_groups + self.muon.param_groups:
            group["lr"] = group["base_lr"] * scale
        for group in self.muon.param_groups:
            group["momentum"] = momentum
        if self.muon.ranks.world_size == 1:
            sum_gradients(self.parameters, self.ranks)
            if self.config.grad_clip_norm > 0:
                torch.nn.utils.clip_grad_norm_(self.parameters, self.config.grad_clip_norm)
        else:
            sum_gradients([p for group in self.adam.param_groups for p in group["params"]], self.ranks)
            self.muon.start_reduce()
            if self.config.grad_clip_norm > 0:
                self._clip_shares()
        self.adam.step()
        self.muon.step()

    @torch.no_grad()
    def _clip_shares(self) -> None:
        """`clip_grad_norm_` where each rank holds a share of the matrices' gradients."""
        shares = self.muon.shares()
        whole = [p.grad for group in self.adam.param_groups for p in group["params"] if p.grad is not None]
        squares = sum((share.square().sum() for share in shares), self.parameters[0].new_zeros(()))
        total = all_reduce_sum(squares, self.ranks)
        total = (total + sum(grad.square().sum() for grad in whole)).sqrt()
        factor = (self.config.grad_clip_norm / (total + 1e-6)).clamp(max=1.0)  # as torch's own
        torch._foreach_mul_(whole + shares, factor)

    def state_dict(self) -> dict[str, Any]:
        return {"adam": self.adam.state_dict(), "muon": self.muon.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.adam.load_state_dict(state["adam"])
        self.muon.load_state_dict(state["muon"])
