"""Ranks agree on everything, and stop together when one of them fails."""

import time

import pytest
import torch

from pgolf.distributed import (
    ALONE,
    Ranks,
    all_reduce_sum,
    broadcast_parameters,
    max_over_ranks,
    process_group,
    sum_gradients,
)
from tests.pgolf.ranks import on_ranks

TORCHRUN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "node-0",
    "MASTER_PORT": "29500",
}


def test_ranks_are_read_from_what_torchrun_sets():
    ranks = Ranks.from_environment({**TORCHRUN, "HOME": "/root"})
    assert ranks == Ranks(rank=5, world_size=8, local_rank=1, master="node-0:29500")
    assert not ranks.is_main
    assert ranks.place(torch.device("cuda")) == torch.device("cuda", 1)
    assert ranks.place(torch.device("cpu")) == torch.device("cpu")


def test_without_torchrun_a_process_is_on_its_own():
    assert Ranks.from_environment({"HOME": "/root", "LOCAL_RANK": "3"}) == ALONE
    assert ALONE.is_main


@pytest.mark.parametrize("missing", ["RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT"])
def test_half_an_environment_is_refused_with_the_name_of_the_missing_half(missing):
    environment = {name: value for name, value in TORCHRUN.items() if name != missing}
    with pytest.raises(ValueError, match=f"{missing} is not set"):
        Ranks.from_environment(environment)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"RANK": "8"}, "rank 8 of world_size 8"),
        ({"RANK": "one"}, "'one'"),
        ({"LOCAL_RANK": "-1"}, "local_rank"),
        ({"MASTER_PORT": "a"}, "master HOST:PORT"),
    ],
)
def test_a_bad_environment_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Ranks.from_environment({**TORCHRUN, **changes})


def test_one_process_needs_no_group():
    tensor = torch.ones(2)
    with process_group(ALONE, torch.device("cpu")):
        assert not torch.distributed.is_initialized()
        assert max_over_ranks(3.5, ALONE) == 3.5
        assert all_reduce_sum(tensor, ALONE) is tensor


def exchanges(ranks: Ranks):
    model = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(model.weight, float(ranks.rank + 7))
    broadcast_parameters(model, ranks)
    a, b, c = (torch.nn.Parameter(torch.zeros(shape)) for shape in ((2, 3), (4,), (1,)))
    a.grad, b.grad = torch.full((2, 3), float(ranks.rank)), torch.arange(4.0) * (ranks.rank + 1)
    sum_gradients([a, b, c], ranks)
    return {
        "max": max_over_ranks(10.0 - ranks.rank, ranks),
        "sum": all_reduce_sum(torch.tensor([1.0, float(ranks.rank)]), ranks).tolist(),
        "weight": model.weight[0, 0].item(),
        "grads": [a.grad[1, 2].item(), b.grad.tolist(), c.grad],
    }


def test_ranks_exchange_sums_maxima_and_weights():
    expected = {"max": 10.0, "sum": [3.0, 3.0], "weight": 7.0, "grads": [3.0, [0.0, 6.0, 12.0, 18.0], None]}
    assert on_ranks(exchanges, 3) == [expected] * 3


def fails_on_rank_one(ranks: Ranks):
    for step in range(100):
        if ranks.rank == 1 and step == 3:
            raise ValueError("token 70000 is outside the vocabulary")
        all_reduce_sum(torch.ones(4), ranks)


def fails_on_rank_zero(ranks: Ranks):
    if ranks.rank == 0:
        raise ValueError("no shards match")
    all_reduce_sum(torch.ones(4), ranks)


def test_when_a_rank_fails_all_ranks_end_in_seconds_and_say_which():
    start = time.monotonic()
    zero, one, two = on_ranks(fails_on_rank_one, 3)
    assert time.monotonic() - start < 15
    assert one.rstrip().endswith("ValueError: token 70000 is outside the vocabulary\nraised on rank 1 of 3")
    for other in (zero, two):
        assert "RankFailed: rank 1 of 3 failed: ValueError: token 70000 is outside the vocabulary" in other


def test_rank_zero_may_fail_too():
    zero, one = on_ranks(fails_on_rank_zero, 2)
    assert "ValueError: no shards match" in zero
    assert "RankFailed: rank 0 of 2" in one
