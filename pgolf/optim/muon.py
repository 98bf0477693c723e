"""Muon: momentum for matrices, with each update replaced by the nearest orthogonal matrix.

After Keller Jordan, https://kellerjordan.github.io/posts/muon/. Matrices of one shape make a bank: they are
stacked and orthogonalized together. Variants change what happens around the orthogonalization, each a pure
function in a module of its own:

    muon      orthogonalize(M)
    muoneq_r  orthogonalize(rows of M at one length)            pgolf.optim.muoneq
    normuon   rows of orthogonalize(M) at one running length    pgolf.optim.normuon
    mousse    orthogonalize(M) in whitened coordinates          pgolf.optim.mousse

Parallel Muon (#399; #1430): given ranks, a bank is padded to a multiple of their number, its gradients are
reduce-scattered, each rank keeps momentum for its own share of the matrices and orthogonalizes only these, and
the updates are gathered while the next bank is computed. The readable way, which the result equals up to the
rounding of stacked matrix products: sum the gradients first (`pgolf.distributed.sum_gradients`), then let every
rank do all, with the default ranks.

Shapes: N matrices of R rows and C columns in a bank, M of them in this rank's share.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from pgolf.distributed import ALONE, Ranks, start_all_gather, start_reduce_scatter
from pgolf.optim.mousse import accumulate_factors, inverse_power, whitened_step
from pgolf.optim.muoneq import equalize_rows
from pgolf.optim.normuon import normalize_neurons
from pgolf.optim.orthogonal import Coefficients, orthogonalize

Variant = Literal["muon", "muoneq_r", "normuon", "mousse"]


class Bank(NamedTuple):
    """The parameters of one shape in one group."""

    parameters: list[Tensor]
    group: int
    """Index into `Muon.param_groups`."""
    share: int
    """How many of them, padding included, each rank has."""


class Share(NamedTuple):
    """This rank's part of a bank's summed gradients; ready after `wait`."""

    bank: Bank
    grads_MRC: Tensor
    work: Any

    def wait(self) -> Tensor:
        if self.work is not None:
            self.work.wait()
        return self.grads_MRC


class Muon(torch.optim.Optimizer):
    """For 2-D parameters only. A parameter without a gradient counts as one with a gradient of zero.

    With `ranks`, every rank calls `step`, and the state is that of its own share: it can be restored on the
    same number of ranks only.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        steps: int = 5,
        *,
        variant: Variant = "muon",
        coefficients: Coefficients = "quintic",
        weight_decay: float = 0.0,
        beta2: float = 0.95,
        mousse_alpha: float = 0.125,
        mousse_every: int = 10,
        nesterov: bool = True,
        compiled: bool = False,
        ranks: Ranks = ALONE,
    ) -> None:
        if lr < 0 or not 0 <= momentum < 1 or steps < 1 or weight_decay < 0:
            raise ValueError(
                f"lr {lr} and weight_decay {weight_decay} must be >= 0, momentum {momentum} in [0, 1), "
                f"steps {steps} >= 1"
            )
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.variant = variant
        self.beta2 = beta2
        self.mousse_alpha = mousse_alpha
        self.mousse_every = mousse_every
        self.nesterov = nesterov
        self.ranks = ranks
        function = torch.compile(orthogonalize, dynamic=False) if compiled else orthogonalize
        self._orthogonalize = partial(function, steps=steps, coefficients=coefficients)
        self._shares: list[Share] | None = None
        self.banks: list[Bank] = []
        for index, group in enumerate(self.param_groups):
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.ndim != 2:
                    raise ValueError("Muon takes matrices only; give vectors and scalars to Adam")
                by_shape[parameter.shape].append(parameter)
            self.banks += [
                Bank(stack, index, share=-(-len(stack) // ranks.world_size)) for stack in by_shape.values()
            ]

    @torch.no_grad()
    def start_reduce(self) -> None:
        """Begin to sum the banks' gradients over ranks. `step` does it where the caller has not."""
        if self._shares is None:
            self._shares = [
                self._start_reduce(bank)
                for bank in self.banks
                if any(parameter.grad is not None for parameter in bank.parameters)
            ]

    def shares(self) -> list[Tensor]:
        """This rank's summed gradients, one (M, R, C) for each bank; to be clipped in place, say."""
        self.start_reduce()
        # Waited for once only: gloo copies its result out at each wait, over what was done to it since.
        self._shares = [Share(share.bank, share.wait(), None) for share in self._shares or []]
        return [share.grads_MRC for share in self._shares]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.start_reduce()
        shares, self._shares = self._shares or [], None
        gathering: tuple[Bank, Tensor, Any] | None = None
        for share in shares:
            bank = share.bank
            update_MRC = self._update(bank, share.wait())
            if self.ranks.world_size == 1:
                self._apply(bank, update_MRC)
                continue
            full_NRC = update_MRC.new_empty((bank.share * self.ranks.world_size, *update_MRC.shape[1:]))
            work = start_all_gather(full_NRC, update_MRC)
            if gathering is not None:
                self._finish(*gathering)
            gathering = (bank, full_NRC, work)
        if gathering is not None:
            self._finish(*gathering)
        return loss

    def _start_reduce(self, bank: Bank) -> Share:
        """Stack a bank's gradients; with ranks, pad them and begin the reduce-scatter."""
        grads = [
            torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            for parameter in bank.parameters
        ]
        if self.ranks.world_size == 1:
            return Share(bank, torch.stack(grads), None)
        padding = bank.share * self.ranks.world_size - len(grads)
        full_NRC = torch.stack(grads + [torch.zeros_like(grads[0])] * padding)
        grads_MRC = full_NRC.new_empty((bank.share, *full_NRC.shape[1:]))
        return Share(bank, grads_MRC, start_reduce_scatter(grads_MRC, full_NRC))

    def _update(self, bank: Bank, grads_MRC: Tensor) -> Tensor:
        """The direction of this rank's share; moves the share's state on."""
        momentum = self.param_groups[bank.group]["momentum"]
        state = self.state[bank.parameters[0]]
        if not state:
            self._begin_state(state, grads_MRC)
        buffer_MRC = state["momentum_buffer"]
        buffer_MRC.mul_(momentum).add_(grads_MRC)
        x = grads_MRC.add(buffer_MRC, alpha=momentum) if self.nesterov else buffer_MRC
        if self.variant == "muoneq_r":
            return self._orthogonalize(equalize_rows(x))
        if self.variant == "normuon":
            return normalize_neurons(self._orthogonalize(x), state["second_moment"], self.beta2)
        if self.variant == "mousse":
            accumulate_factors(state["left"], state["right"], grads_MRC, self.beta2)
            if state["steps"] % self.mousse_every == 0:
                state["left_power"] = inverse_power(state["left"], self.mousse_alpha)
                state["right_power"] = inverse_power(state["right"], self.mousse_alpha)
            state["steps"] += 1
            return whitened_step(x, state["left_power"], state["right_power"], self._orthogonalize)
        return self._orthogonalize(x)

    def _begin_state(self, state: dict[str, Any], grads_MRC: Tensor) -> None:
        count, rows, columns = grads_MRC.shape
        state["momentum_buffer"] = torch.zeros_like(grads_MRC)
        if self.variant == "normuon":
            state["second_moment"] = grads_MRC.new_zeros((count, rows, 1))
        if self.variant == "mousse":
            state["left"] = grads_MRC.new_zeros((count, rows, rows))
            state["right"] = grads_MRC.new_zeros((count, columns, columns))
            state["steps"] = 0

    def _finish(self, bank: Bank, full_NRC: Tensor, gathering: Any) -> None:
        gathering.wait()
        self._apply(bank, full_NRC[: len(bank.parameters)])

    def _apply(self, bank: Bank, updates_NRC: Tensor) -> None:
        """Decay the weights towards zero (decoupled, as AdamW), then take the step."""
        group = self.param_groups[bank.group]
        if group["weight_decay"] > 0:
            torch._foreach_mul_(bank.parameters, 1 - group["lr"] * group["weight_decay"])
        rows, columns = bank.parameters[0].shape
        rate = group["lr"] * max(1.0, rows / columns) ** 0.5
        torch._foreach_add_(bank.parameters, list(updates_NRC.unbind()), alpha=-rate)
