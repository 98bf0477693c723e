"""Selective pruning: zero the least important +-1 values until code and compressed model fit under the cap.

From #609 and #1019. A value of +-1 that becomes 0 changes its weight by one step, so it raises the squared
error of the layer's output by step^2 * H[j,j] (without a Hessian: that of the weights, by step^2). Candidates
go in the order of that cost. Zeros are what a codec likes best, so the file shrinks as their count grows; the
least count that fits is found by bisection, with the real codec at every probe.

Shapes: R rows, C columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pgolf.compress.rows import QuantizedTensor
from pgolf.compress.state import StoredTensor
from pgolf.size import ArtifactTooLarge

SizeOf = Callable[[Mapping[str, StoredTensor]], int]
"""Bytes of code and model, with these tensors."""


@dataclass(frozen=True)
class Pruned:
    """The tensors that fit, and what it cost."""

    tensors: dict[str, StoredTensor]
    zeroed: int
    candidates: int
    """All values of +-1."""
    total_bytes: int
    damage: float
    """Squared error that zeroing added, by the diagonal of H: the sum of the zeroed values' costs."""
    probes: int
    """How often the model was compressed."""

    def __str__(self) -> str:
        return (
            f"selective_prune: zeroed {self.zeroed}/{self.candidates} values of +-1 in {self.probes} probes, "
            f"total {self.total_bytes} bytes, squared error +{self.damage:.4g}"
        )


def prune_to_fit(
    tensors: Mapping[str, StoredTensor],
    size_of: SizeOf,
    cap_bytes: int,
    *,
    hessians: Mapping[str, Tensor] | None = None,
    slack_bytes: int = 0,
) -> Pruned:
    """Zero as few +-1 values as bring `size_of` to at most `cap_bytes`.

    With `hessians`, only the tensors that have one are touched. The search ends early once the size is within
    `slack_bytes` of the cap. A codec's size may rise by some bytes as a value is zeroed, so the count is the
    least of those probed, and its neighbour below was probed and does not fit.

    Raises:
        ArtifactTooLarge: it does not fit even with every candidate zeroed.
    """
    plan = _Plan(tensors, hessians)
    probed: dict[int, int] = {}

    def fits(count: int) -> bool:
        probed[count] = size_of(plan.apply(count))
        return probed[count] <= cap_bytes

    fitting, too_few = (0, -1) if fits(0) else (plan.candidates, 0)
    if fitting and not fits(fitting):
        raise ArtifactTooLarge(
            f"{probed[fitting]:,} bytes with all {fitting:,} values of +-1 zeroed ({probed[0]:,} with none), "
            f"cap {cap_bytes:,}; use fewer bits, a wider clip or a smaller model"
        )
    while fitting - too_few > 1 and cap_bytes - probed[fitting] > slack_bytes:
        middle = (fitting + too_few) // 2
        if fits(middle):
            fitting = middle
        else:
            too_few = middle
    return Pruned(
        tensors=plan.apply(fitting),
        zeroed=fitting,
        candidates=plan.candidates,
        total_bytes=probed[fitting],
        damage=plan.damage(fitting),
        probes=len(probed),
    )


class _Plan:
    """All candidates, ranked by cost; equal costs in the order of the tensors and of their values."""

    def __init__(self, tensors: Mapping[str, StoredTensor], hessians: Mapping[str, Tensor] | None) -> None:
        self._tensors = tensors
        self._places: dict[str, Tensor] = {}
        costs: list[Tensor] = []
        for name, tensor in tensors.items():
            if not isinstance(tensor, QuantizedTensor) or (hessians is not None and name not in hessians):
                continue
            cost_RC = tensor.steps_RC.square()
            if hessians is not None:
                cost_RC = cost_RC * hessians[name].diagonal().to(cost_RC)
            # Not abs(): the magnitude of -128 does not fit int8.
            place = ((tensor.values == 1) | (tensor.values == -1)).flatten().nonzero()[:, 0]
            self._places[name] = place
            costs.append(cost_RC.flatten()[place])
        cost = torch.cat(costs) if costs else torch.empty(0)
        order = torch.argsort(cost, stable=True)
        self._sorted_cost = cost[order]
        rank = torch.empty_like(order)
        rank[order] = torch.arange(len(order), device=order.device)
        sizes = [len(place) for place in self._places.values()]
        self._ranks = dict(zip(self._places, torch.split(rank, sizes), strict=True)) if sizes else {}

    @property
    def candidates(self) -> int:
        return len(self._sorted_cost)

    def damage(self, count: int) -> float:
        return float(self._sorted_cost[:count].double().sum())

    def apply(self, count: int) -> dict[str, StoredTensor]:
        """The tensors with the `count` cheapest candidates zeroed; none is changed in place."""
        pruned = dict(self._tensors)
        for name, place in self._places.items():
            tensor = self._tensors[name]
            assert isinstance(tensor, QuantizedTensor)
            values = tensor.values.clone()
            values.view(-1)[place[self._ranks[name] < count]] = 0
            pruned[name] = replace(tensor, values=values)
        return pruned
