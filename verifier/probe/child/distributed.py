"""`torch.distributed` with a single rank: what every collective comes to when nobody else is there.

Scripts that are written for `torchrun` alone start a process group without asking. A real one would need a
network device, which the sandbox has not got.
"""

from __future__ import annotations

import contextlib
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn

from verifier.probe.child.uses import stand_in, used


class _Done:
    """The handle of a collective that is over."""

    def wait(self, *_: Any) -> bool:
        return True

    def is_completed(self) -> bool:
        return True

    def get_future(self) -> _Done:
        return self

    def then(self, function: Any) -> Any:
        return function(self)

    def value(self) -> list[Any]:
        return []


class _Group:
    """The group of all ranks."""

    def rank(self) -> int:
        return 0

    def size(self) -> int:
        return 1


class Replica(nn.Module):
    """`DistributedDataParallel` of one: the module itself, under `module`."""

    def __init__(self, module: nn.Module, *_: Any, **__: Any) -> None:
        super().__init__()
        self.module = module
        self.require_backward_grad_sync = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def no_sync(self) -> Any:
        return contextlib.nullcontext()


_GROUP = _Group()


class World:
    """Whether the group was started, and the functions of the package over it."""

    def __init__(self) -> None:
        self.started = False

    def start(self, *_: Any, **__: Any) -> None:
        used("torch.distributed")
        self.started = True

    def stop(self, *_: Any, **__: Any) -> None:
        self.started = False

    def is_started(self) -> bool:
        return self.started


def _unchanged(*_: Any, **__: Any) -> _Done:
    """Reduction over one rank, or a broadcast by it: the tensor is the answer already."""
    return _Done()


def _into_one(output: Tensor, input: Tensor, *_: Any, **__: Any) -> _Done:
    """Gathered or scattered over one rank: a copy."""
    output.copy_(input.view_as(output))
    return _Done()


def _all_gather(outputs: list[Tensor], tensor: Tensor, *_: Any, **__: Any) -> _Done:
    outputs[0].copy_(tensor)
    return _Done()


def _gather(tensor: Tensor, gather_list: list[Tensor] | None = None, *_: Any, **__: Any) -> _Done:
    if gather_list:
        gather_list[0].copy_(tensor)
    return _Done()


def _from_list(output: Tensor, inputs: list[Tensor] | None = None, *_: Any, **__: Any) -> _Done:
    if inputs:
        output.copy_(inputs[0])
    return _Done()


def _objects(found: list[Any], one: Any, *_: Any, **__: Any) -> None:
    found[0] = one


def _gather_object(one: Any, found: list[Any] | None = None, *_: Any, **__: Any) -> None:
    if found:
        found[0] = one


def install() -> None:
    """Replace the group's start and its collectives. A script that never starts one sees no difference."""
    world = World()
    stand_in(
        dist,
        init_process_group=world.start,
        destroy_process_group=world.stop,
        is_initialized=world.is_started,
        get_rank=lambda *_, **__: 0,
        get_world_size=lambda *_, **__: 1,
        get_backend=lambda *_, **__: "nccl",
        new_group=lambda *_, **__: _GROUP,
        all_gather_object=_objects,
        gather_object=_gather_object,
        broadcast_object_list=lambda *_, **__: None,
        all_gather=_all_gather,
        gather=_gather,
        scatter=_from_list,
        reduce_scatter=_from_list,
        all_to_all_single=_into_one,
        **dict.fromkeys(("all_reduce", "reduce", "broadcast", "barrier", "monitored_barrier"), _unchanged),
        **dict.fromkeys(
            (
                "all_gather_into_tensor",
                "reduce_scatter_tensor",
                "_all_gather_base",
                "_reduce_scatter_base",
            ),
            _into_one,
        ),
    )
    stand_in(nn.parallel, DistributedDataParallel=Replica)
    stand_in(nn.parallel.distributed, DistributedDataParallel=Replica)
