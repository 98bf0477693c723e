"""Training batches read in order from the shards, the same on every rank.

Every rank walks the same token stream and takes its own span of each step's tokens, so no token is
sampled, none is shared, and a run is repeatable from its data alone. A span carries one more token than
it predicts: targets are inputs shifted by one. The stream wraps around at its end.

Shapes: B sequences, T positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pgolf.shards import ShardError, read_shard, shard_paths


class Batch(NamedTuple):
    """int64 ids; `targets_BT[b, t]` is the token right after `inputs_BT[b, t]`."""

    inputs_BT: Tensor
    targets_BT: Tensor


def side_by_side(batches: Sequence[Batch]) -> Batch:
    """The sequences of all of them, in order, as one batch."""
    if len(batches) == 1:
        return batches[0]
    return Batch(torch.cat([b.inputs_BT for b in batches]), torch.cat([b.targets_BT for b in batches]))


class Loader(Protocol):
    """What training asks of a loader, whatever the order in which it reads the shards."""

    def next_batch(self, global_tokens: int, seq_len: int, grad_accum_steps: int = 1) -> Batch:
        """This rank's share of the next `global_tokens`, for one of `grad_accum_steps` micro-batches."""

    def position(self) -> Any:
        """Where the next batch comes from: whatever `restore` understands."""

    def restore(self, position: Any) -> None:
        """Continue from a position of this loader."""


class Position(NamedTuple):
    """Where the next token comes from: enough to restore a loader."""

    shard: int
    token: int


class TokenLoader:
    """Reads the shards that match `pattern`, one at a time, memory-mapped, forever."""

    def __init__(
        self,
        pattern: str,
        *,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world_size: int = 1,
        vocab_size: int | None = None,
    ) -> None:
        check_rank(rank, world_size)
        self.paths = shard_paths(pattern)
        self.device = torch.device(device)
        self.rank = rank
        self.world_size = world_size
        self.vocab_size = vocab_size
        if not any(read_shard(path, memmap=True).size for path in self.paths):
            raise ShardError(f"the {len(self.paths)} shards that match {pattern} hold no token")
        self.restore(Position(0, 0))

    def position(self) -> Position:
        return Position(self._shard, self._token)

    def restore(self, position: Position) -> None:
        """Continue from `position`; after the warmup steps this is `Position(0, 0)`."""
        self._open(position.shard)
        self._token = position.token

    def next_batch(self, global_tokens: int, seq_len: int, grad_accum_steps: int = 1) -> Batch:
        """This rank's share of the next `global_tokens`, for one of `grad_accum_steps` micro-batches.

        Raises:
            ValueError: the share is not a whole number of sequences.
        """
        span = share_tokens(global_tokens, seq_len, self.world_size, grad_accum_steps) + 1
        tokens = self._take(span * self.world_size)[self.rank * span : (self.rank + 1) * span]
        local = to_device(tokens.astype(np.int64), self.device)
        return Batch(local[:-1].view(-1, seq_len), local[1:].view(-1, seq_len))

    def _open(self, shard: int) -> None:
        self._shard = shard
        self._tokens = read_shard(self.paths[shard], vocab_size=self.vocab_size, memmap=True)
        self._token = 0

    def _take(self, count: int) -> NDArray[Any]:
        pieces: list[NDArray[Any]] = []
        while count > 0:
            if self._token == self._tokens.size:
                self._open((self._shard + 1) % len(self.paths))
                continue
            piece = self._tokens[self._token : self._token + count]
            self._token += piece.size
            count -= piece.size
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def check_rank(rank: int, world_size: int) -> None:
    if not 0 <= rank < world_size:
        raise ValueError(f"rank {rank} of world_size {world_size}; expected 0 <= rank < world_size")


def share_tokens(global_tokens: int, seq_len: int, world_size: int, grad_accum_steps: int) -> int:
    """The tokens of one rank's micro-batch; ValueError where that is not a whole number of sequences."""
    shares = world_size * grad_accum_steps
    if global_tokens <= 0 or global_tokens % (shares * seq_len):
        raise ValueError(
            f"{global_tokens} tokens per step cannot be cut into {shares} shares (world_size "
            f"{world_size} x grad_accum_steps {grad_accum_steps}) of whole sequences of {seq_len}; "
            f"use a multiple of {shares * seq_len}"
        )
    return global_tokens // shares


def to_device(ids: NDArray[np.int64], device: torch.device) -> Tensor:
    """The ids as a tensor; on CUDA from pinned memory, so that the copy does not wait for the GPU."""
    local = torch.from_numpy(ids)
    return local.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else local
