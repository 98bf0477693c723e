"""Several processes that train one model: who is who, the process group, and what they tell each other.

Every rank holds the whole model and takes its own part of each step's tokens. Gradients are sums: a rank
divides its loss by the number of micro-batches of all ranks, so that the sum over ranks is the gradient of
the step's mean loss. Scalars on which ranks must agree (the time that counts) are the maximum over ranks, sent
by the CPU, so that no GPU is waited for.

Nothing here reads the environment: a script passes it to `Ranks.from_environment`, under `torchrun`:

    ranks = Ranks.from_environment(os.environ)
    with process_group(ranks, device):
        ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

# PyTorch 2.13 renames these two and warns about the old names.
_reduce_scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor
_all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor

FAILURE = "failure"  # the store's key under which the first rank that fails says why


class RankFailed(RuntimeError):
    """Another rank failed, and this one stopped with it. The message names the rank and its error."""


@dataclass(frozen=True)
class Ranks:
    """Which process this is, of how many; the default is a process on its own."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    """The rank on its own machine: the number of its GPU."""
    master: str = ""
    """HOST:PORT where the ranks meet; empty for a process on its own."""

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world_size:
            raise ValueError(
                f"rank {self.rank} of world_size {self.world_size}; expected 0 <= rank < world_size"
            )
        if self.local_rank < 0:
            raise ValueError(f"local_rank must not be negative, got {self.local_rank}")
        if self.world_size > 1 and not self.master.rpartition(":")[2].isdigit():
            raise ValueError(
                f"{self.world_size} ranks need a master HOST:PORT to meet at, got {self.master!r}"
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read what `torchrun` sets; an environment without RANK and WORLD_SIZE is a process on its own.

        Raises:
            ValueError: a part of it is missing or is not a number.
        """
        if "RANK" not in environment and "WORLD_SIZE" not in environment:
            return cls()
        try:
            rank, world_size, local_rank = (
                int(environment[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")
            )
            master = f"{environment['MASTER_ADDR']}:{environment['MASTER_PORT']}"
        except KeyError as error:
            raise ValueError(f"{error.args[0]} is not set, but RANK or WORLD_SIZE is; use torchrun") from None
        except ValueError as error:
            raise ValueError(f"RANK, WORLD_SIZE and LOCAL_RANK must be integers: {error}") from None
        return cls(rank, world_size, local_rank, master)

    @property
    def is_main(self) -> bool:
        """Whether this rank is the one that logs and writes files."""
        return self.rank == 0

    def place(self, device: torch.device) -> torch.device:
        """This rank's own device of that kind: `cuda` becomes `cuda:LOCAL_RANK`."""
        return torch.device("cuda", self.local_rank) if device.type == "cuda" else device


ALONE = Ranks()


@contextmanager
def process_group(ranks: Ranks, device: torch.device, timeout_seconds: float = 1800.0) -> Iterator[None]:
    """Join the ranks for the duration of the block: gloo between CPUs, and NCCL between GPUs.

    When a rank raises, its error goes on with a note that says which rank it was, and the other ranks stop at
    their next exchange: on CPUs at once; on GPUs when the launcher ends them, as torchrun does at once, or after
    `timeout_seconds`.

    Raises:
        RankFailed: another rank failed first.
    """
    if ranks.world_size == 1:
        yield
        return
    timeout = timedelta(seconds=timeout_seconds)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    meeting = rendezvous(f"tcp://{ranks.master}", ranks.rank, ranks.world_size, timeout=timeout)
    store, _, _ = next(meeting)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(
        backend, store=store, rank=ranks.rank, world_size=ranks.world_size, timeout=timeout
    )
    try:
        yield
        max_over_ranks(0.0, ranks)  # nobody leaves before all are done: one of them may hold the store
    except BaseException as error:
        cause = _first_failure(store, ranks, error)
        if device.type == "cpu":
            dist.destroy_process_group()  # closes the connections; NCCL would wait for the others here
        if cause is None:
            error.add_note(f"raised on rank {ranks.rank} of {ranks.world_size}")
            raise
        raise RankFailed(cause) from error
    dist.destroy_process_group()


def _first_failure(store: Any, ranks: Ranks, error: BaseException) -> str | None:
    """What the rank that failed first said, or None when that is this one."""
    mine = f"rank {ranks.rank} of {ranks.world_size} failed: {type(error).__name__}: {error}"
    try:
        first = store.compare_set(FAILURE, "", mine).decode()
    except RuntimeError:
        return f"rank 0 of {ranks.world_size}, which holds the store, is gone"
    return None if first == mine else first


def broadcast_parameters(model: nn.Module, ranks: Ranks) -> None:
    """Give every rank the weights and buffers of rank 0."""
    if ranks.world_size > 1:
        for tensor in model.state_dict().values():
            dist.broadcast(tensor, src=0)


def all_reduce_sum(tensor: Tensor, ranks: Ranks) -> Tensor:
    """Sum `tensor` over all ranks, in place; returns it."""
    if ranks.world_size > 1:
        dist.all_reduce(tensor)
    return tensor


def max_over_ranks(value: float, ranks: Ranks) -> float:
    """The largest of the ranks' values, the same on each of them; waits for the other CPUs, for no GPU."""
    if ranks.world_size == 1:
        return value
    shared = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(shared, dist.ReduceOp.MAX)
    return float(shared)


@torch.no_grad()
def sum_gradients(parameters: Iterable[Tensor], ranks: Ranks) -> None:
    """Replace every gradient by its sum over the ranks, in one exchange; None stays None."""
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if ranks.world_size == 1 or not grads:
        return
    flat = all_reduce_sum(torch.cat([grad.flatten() for grad in grads]), ranks)
    pieces = flat.split_with_sizes([grad.numel() for grad in grads])
    torch._foreach_copy_(grads, [piece.view_as(grad) for piece, grad in zip(pieces, grads, strict=True)])


def start_reduce_scatter(share: Tensor, full: Tensor) -> Any:
    """Begin to sum `full` over ranks; `share` gets this rank's equal part of it. Wait on the result."""
    return _reduce_scatter(share, full, async_op=True)


def start_all_gather(full: Tensor, share: Tensor) -> Any:
    """Begin to put the ranks' equal shares together, in rank order. Wait on the result."""
    return _all_gather(full, share, async_op=True)
