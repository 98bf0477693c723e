"""Parallel Muon and summed gradients give what one process gives, on any number of ranks."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch

from pgolf.distributed import ALONE, Ranks, sum_gradients
from pgolf.model import GPT, GPTConfig
from pgolf.optim import Muon, OptimizerConfig, OptimizerSet
from tests.pgolf.ranks import on_ranks

# Four of one shape, three of another, one of a third: banks that two and three ranks cannot share evenly.
SHAPES = [(8, 6)] * 4 + [(5, 12)] * 3 + [(7, 7)]
VARIANTS = ("muon", "muoneq_r", "normuon", "mousse")


def parts(step: int, world_size: int) -> list[list[torch.Tensor]]:
    """Each rank's gradients; integers, so that their sum over any number of ranks has no rounding."""
    generator = torch.Generator().manual_seed(step)
    whole = [torch.randint(-50, 50, shape, generator=generator).float() for shape in SHAPES]
    others = [[torch.full(shape, float(rank)) for shape in SHAPES] for rank in range(1, world_size)]
    first = [grad - sum(range(1, world_size)) for grad in whole]
    return [first, *others]


def three_steps(ranks: Ranks, variant: Any, parallel: bool) -> list[torch.Tensor]:
    torch.manual_seed(0)
    weights = [torch.nn.Parameter(torch.randn(shape)) for shape in SHAPES]
    muon = Muon(
        weights, lr=0.1, variant=variant, weight_decay=0.1, mousse_every=2, ranks=ranks if parallel else ALONE
    )
    for step in range(3):
        for weight, grad in zip(weights, parts(step, ranks.world_size)[ranks.rank], strict=True):
            weight.grad = grad.clone()
        if not parallel:
            sum_gradients(weights, ranks)
        muon.step()
    return [weight.detach() for weight in weights]


def all_variants(ranks: Ranks, parallel: bool) -> dict[str, list[torch.Tensor]]:
    return {variant: three_steps(ranks, variant, parallel) for variant in VARIANTS}


@functools.cache
def alone() -> dict[str, list[torch.Tensor]]:
    return all_variants(ALONE, False)


@pytest.mark.parametrize("parallel", [False, True], ids=["every rank does all", "banks"])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_any_number_of_ranks_takes_the_steps_of_one_process(world_size, parallel):
    results = on_ranks(all_variants, world_size, parallel)
    for result in results:
        assert isinstance(result, dict), result
        for variant in VARIANTS:
            for ours, expected, first in zip(
                result[variant], alone()[variant], results[0][variant], strict=True
            ):
                assert torch.equal(ours, first), "ranks drifted apart"
                if parallel:  # a share's stack has another size, and so may round otherwise
                    torch.testing.assert_close(ours, expected, atol=2e-5, rtol=2e-5)
                else:
                    assert torch.equal(ours, expected)


def clipped_step(ranks: Ranks, parallel: bool) -> list[torch.Tensor]:
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=32, num_layers=2, model_dim=16, num_heads=2, num_kv_heads=1))
    config = OptimizerConfig(grad_clip_norm=0.01, parallel_muon=parallel, adam_eps=1e-3)
    optimizers = OptimizerSet(model, config, ranks)
    ids = torch.randint(0, 32, (6, 17))
    mine = ids[ranks.rank :: ranks.world_size]
    for _ in range(2):
        (model.loss(mine[:, :-1], mine[:, 1:]) / ranks.world_size).backward()
        optimizers.step(scale=1.0, momentum=0.9)
        optimizers.zero_grad()
    return [parameter.detach() for parameter in model.parameters()]


@pytest.mark.parametrize("parallel", [False, True], ids=["every rank does all", "banks"])
def test_clipping_looks_at_the_norm_of_all_gradients_on_all_ranks(parallel):
    for result in on_ranks(clipped_step, 3, parallel):
        assert isinstance(result, list), result
        for ours, expected in zip(result, clipped_step(ALONE, False), strict=True):
            torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)
