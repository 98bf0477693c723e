"""Muon: momentum for matrices, with each update replaced by the nearest orthogonal matrix.

After Keller Jordan, https://kellerjordan.github.io/posts/muon/. The orthogonal matrix comes from five
Newton-Schulz steps with coefficients that are steep at zero, so singular values end between about 0.7 and
1.2 rather than at 1. Matrices of one shape are stacked and orthogonalized together.

Shapes: N matrices of R rows and C columns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

QUINTIC = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrices_NRC: Tensor, steps: int = 5, eps: float = 1e-7) -> Tensor:
    """Push every singular value of each matrix towards one; fp32 on a CPU, bf16 on CUDA.

    A matrix of zeros stays zero. Accepts (R, C) or (N, R, C).
    """
    a, b, c = QUINTIC
    x = matrices_NRC.to(torch.bfloat16 if matrices_NRC.is_cuda else torch.float32)
    tall = x.size(-2) > x.size(-1)
    if tall:
        x = x.mT  # the Gram matrix below is then the smaller one
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    orthogonal: Tensor = (x.mT if tall else x).to(matrices_NRC.dtype)
    return orthogonal


class Muon(torch.optim.Optimizer):
    """For 2-D parameters only. Every rank computes every update, from gradients averaged before."""

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        steps: int = 5,
        nesterov: bool = True,
    ) -> None:
        if lr < 0 or not 0 <= momentum < 1 or steps < 1:
            raise ValueError(f"lr {lr} must be >= 0, momentum {momentum} in [0, 1), steps {steps} >= 1")
        super().__init__(params, {"lr": lr, "momentum": momentum, "steps": steps, "nesterov": nesterov})
        for group in self.param_groups:
            if any(parameter.ndim != 2 for parameter in group["params"]):
                raise ValueError("Muon takes matrices only; give vectors and scalars to Adam")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for parameters in by_shape.values():
                self._step_stack(parameters, group)
        return loss

    def _step_stack(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        buffers = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        torch._foreach_mul_(buffers, group["momentum"])
        torch._foreach_add_(buffers, grads)
        updates = (
            torch._foreach_add(grads, buffers, alpha=group["momentum"]) if group["nesterov"] else buffers
        )
        orthogonal_NRC = orthogonalize(torch.stack(list(updates)), group["steps"])
        rows, columns = parameters[0].shape
        rate = group["lr"] * max(1.0, rows / columns) ** 0.5
        torch._foreach_add_(parameters, list(orthogonal_NRC), alpha=-rate)
