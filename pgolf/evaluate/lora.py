"""Low-rank adapters, one per row of a batch, attached to a model's linear maps from outside.

Row r of every adapted map computes W x + scale B_r (A_r x). A starts as one fixed random matrix for all
rows and B as zero, so a fresh row computes what the model does. Adam runs per row too, with its own step
count: a row that starts anew owes nothing to its neighbours. Sources: LoRA, Hu et al. 2021; batched over
documents, #77.

Shapes: B rows, I inputs and O outputs of a map, R rank.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pgolf.model import GPT

INIT_SEED = 0
ADAM_EPS = 1e-10
"""#77's: gradients of B are small while A is random."""


class RowLoRA:
    """The adapters of every map whose name ends with one of `targets`, and their Adam state."""

    def __init__(
        self,
        model: GPT,
        rows: int,
        rank: int,
        scale: float,
        targets: Sequence[str],
        betas: tuple[float, float],
    ) -> None:
        self.maps = {
            name: module
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear) and name.rpartition(".")[2] in targets
        }
        if not self.maps:
            raise ValueError(f"no linear map of the model is named {' or '.join(targets)}")
        self.rank = rank
        self.scale = scale
        self.betas = betas
        device = model.device
        generator = torch.Generator().manual_seed(INIT_SEED)
        self.initial: list[Tensor] = []
        for module in self.maps.values():
            bound = 1 / math.sqrt(module.in_features)
            down_RI = torch.empty(rank, module.in_features).uniform_(-bound, bound, generator=generator)
            self.initial += [down_RI.to(device), torch.zeros(module.out_features, rank, device=device)]
        self.weights = [start.expand(rows, -1, -1).clone().requires_grad_() for start in self.initial]
        self.first_moments = [torch.zeros_like(weight) for weight in self.weights]
        self.second_moments = [torch.zeros_like(weight) for weight in self.weights]
        self.steps_B = torch.zeros(rows, device=device)

    @torch.no_grad()
    def restart(self, rows: Sequence[int]) -> None:
        """These rows compute what the model does, and have learnt nothing."""
        index = torch.tensor(rows, device=self.steps_B.device)
        for weight, start in zip(self.weights, self.initial, strict=True):
            weight[index] = start
        for moment in (*self.first_moments, *self.second_moments):
            moment[index] = 0
        self.steps_B[index] = 0

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Within, row r of the model's batches goes through adapter r."""
        hooks = [
            module.register_forward_hook(self._hook(down_BRI, up_BOR))
            for module, down_BRI, up_BOR in zip(
                self.maps.values(), self.weights[::2], self.weights[1::2], strict=True
            )
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _hook(self, down_BRI: Tensor, up_BOR: Tensor) -> Callable[[nn.Module, tuple[Tensor], Tensor], Tensor]:
        def add(module: nn.Module, inputs: tuple[Tensor], output_BTO: Tensor) -> Tensor:
            [x_BTI] = inputs
            low_BTR = x_BTI @ down_BRI.mT.to(x_BTI.dtype)
            return output_BTO + self.scale * (low_BTR @ up_BOR.mT.to(x_BTI.dtype))

        return add

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rows: Sequence[int], lr: float) -> None:
        """One step of Adam for these rows; the others stay as they are to the bit."""
        index = torch.tensor(rows, device=self.steps_B.device)
        self.steps_B[index] += 1
        beta1, beta2 = self.betas
        correction1_B11 = (1 - beta1 ** self.steps_B[index])[:, None, None]
        correction2_B11 = (1 - beta2 ** self.steps_B[index])[:, None, None]
        for weight, gradient, first, second in zip(
            self.weights, gradients, self.first_moments, self.second_moments, strict=True
        ):
            first[index] = first[index].lerp(gradient[index], 1 - beta1)
            second[index] = second[index].lerp(gradient[index].square(), 1 - beta2)
            size = (second[index] / correction2_B11).sqrt() + ADAM_EPS
            weight[index] -= lr * first[index] / correction1_B11 / size
