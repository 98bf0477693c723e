"""One rank's collectives: what there is to gather is its own."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
from torch import nn

from verifier.probe.child import distributed


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[tuple[object, str, object]] = []

    def stand_in(owner: object, **values: object) -> None:
        for name, value in values.items():
            monkeypatch.setattr(owner, name, value, raising=False)
            kept.append((owner, name, value))

    monkeypatch.setattr(distributed, "stand_in", stand_in)
    distributed.install()


@pytest.mark.usefixtures("world")
def test_a_script_for_torchrun_runs_alone() -> None:
    assert not dist.is_initialized()
    dist.init_process_group("nccl")
    assert dist.is_initialized()
    assert (dist.get_rank(), dist.get_world_size()) == (0, 1)
    total = torch.tensor([3.0])
    dist.all_reduce(total, async_op=True).wait()
    gathered = torch.zeros(1)
    dist.all_gather_into_tensor(gathered, total)
    assert gathered.item() == 3.0
    objects = [None]
    dist.all_gather_object(objects, {"a": 1})
    assert objects == [{"a": 1}]
    model = nn.parallel.DistributedDataParallel(nn.Linear(2, 2), device_ids=[0])
    with model.no_sync():
        assert model(torch.zeros(1, 2)).shape == (1, 2)
    dist.destroy_process_group()
    assert not dist.is_initialized()
