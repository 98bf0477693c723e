"""Training batches drawn from all shards at once: blocks visited with a stride coprime to their number.

The shards are cut into blocks of T tokens, numbered from 0 to N - 1. Visit k of an epoch reads block
(start + k * stride) mod N. A stride coprime to N meets every block once before it meets any again, so an
epoch is a shuffle that costs no memory, and the place in it is one integer. Each epoch has its own start
and stride, both from the seed alone: neither the path nor the number of ranks moves them.

A step of G sequences takes the next G visits. They are dealt in order, first over micro-batches and then
over ranks, so any division of a step between ranks trains on the same sequences in the same order.

Source: the coprime-stride loader of #726, carried by #1060, #1184 and #1399. Theirs keeps one stride per
shard, samples the shards at random, and is seeded by their paths; one stride over all blocks needs none
of the three.

Shapes: B sequences, T positions.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pgolf.loader import Batch, check_rank, share_tokens, to_device
from pgolf.shards import ShardError, check_ids, read_shard, shard_paths


class Walk(NamedTuple):
    """The order of one epoch: visit k reads block (start + k * stride) mod blocks."""

    start: int
    stride: int
    blocks: int

    def at(self, visits: NDArray[np.int64]) -> NDArray[np.int64]:
        return (self.start + visits * self.stride) % self.blocks


def plan_walk(seed: int, epoch: int, blocks: int) -> Walk:
    """The walk of one epoch over `blocks` blocks, at least 1.

    Strides below a quarter of the blocks, or as close to all of them, would read neighbours one after the
    other; they are taken only where nothing else is coprime.
    """
    rng = np.random.default_rng([seed, epoch])
    start = int(rng.integers(blocks))
    low, high = blocks // 4, max(blocks - blocks // 4, 1)
    stride = int(rng.integers(low, high + 1))
    while math.gcd(stride, blocks) != 1:
        stride += 1
    return Walk(start, stride, blocks)


class StridedLoader:
    """Reads the shards that match `pattern`, memory-mapped, forever, in a seeded coprime-stride order."""

    def __init__(
        self,
        pattern: str,
        *,
        seed: int,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world_size: int = 1,
        vocab_size: int | None = None,
    ) -> None:
        check_rank(rank, world_size)
        if seed < 0:
            raise ValueError(f"seed must be at least 0, got {seed}")
        self.paths = shard_paths(pattern)
        self.seed = seed
        self.device = torch.device(device)
        self.rank = rank
        self.world_size = world_size
        self.vocab_size = vocab_size
        self._shards = [read_shard(path, memmap=True) for path in self.paths]
        self._visited = 0
        self._seq_len: int | None = None

    def position(self) -> int:
        """How many blocks all ranks together have visited."""
        return self._visited

    def restore(self, position: int) -> None:
        """Continue after `position` blocks; 0 is the start."""
        if position < 0:
            raise ValueError(f"position must be at least 0 blocks, got {position}")
        self._visited = position

    def next_batch(self, global_tokens: int, seq_len: int, grad_accum_steps: int = 1) -> Batch:
        """This rank's share of the next `global_tokens`, for one of `grad_accum_steps` micro-batches.

        Raises:
            ValueError: the share is not a whole number of sequences, or `seq_len` is not that of the first
                call (the blocks of an epoch are cut once).
            ShardError: no shard holds a block of `seq_len`, or an id is outside the vocabulary.
        """
        rows = share_tokens(global_tokens, seq_len, self.world_size, grad_accum_steps) // seq_len
        self._cut(seq_len)
        first = self._visited + self.rank * rows
        ids = self._read(np.arange(first, first + rows, dtype=np.int64), seq_len)
        self._visited += self.world_size * rows
        local = to_device(ids, self.device)
        return Batch(local[:, :-1].contiguous(), local[:, 1:].contiguous())

    def _cut(self, seq_len: int) -> None:
        if self._seq_len is not None:
            if seq_len != self._seq_len:
                raise ValueError(
                    f"seq_len {seq_len} after batches of {self._seq_len}; the blocks are cut once, "
                    "so make a new loader for another length"
                )
            return
        counts = np.array([max(tokens.size - 1, 0) // seq_len for tokens in self._shards], dtype=np.int64)
        if not counts.sum():
            longest = max(tokens.size for tokens in self._shards)
            raise ShardError(
                f"no shard of the {len(self.paths)} in {self.paths[0].parent} holds {seq_len} + 1 tokens; "
                f"the longest has {longest:,}; use a smaller seq_len or more data"
            )
        self._seq_len = seq_len
        self._block_ends = np.cumsum(counts)
        self._block_starts = self._block_ends - counts

    def _read(self, visits: NDArray[np.int64], seq_len: int) -> NDArray[np.int64]:
        """int64 of shape (B, T + 1): each block with the token after it, which its last position predicts."""
        total = int(self._block_ends[-1])
        epochs = visits // total
        blocks = np.empty_like(visits)
        for epoch in np.unique(epochs):
            of_epoch = epochs == epoch
            blocks[of_epoch] = plan_walk(self.seed, int(epoch), total).at(visits[of_epoch] % total)
        shards = np.searchsorted(self._block_ends, blocks, side="right")
        ids = np.empty((len(visits), seq_len + 1), dtype=np.int64)
        for row, (block, shard) in enumerate(zip(blocks, shards, strict=True)):
            start = int(block - self._block_starts[shard]) * seq_len
            ids[row] = self._shards[shard][start : start + seq_len + 1]
            if self.vocab_size is not None:
                check_ids(ids[row], self.vocab_size, f"{self.paths[shard]} from token {start:,}")
        return ids
