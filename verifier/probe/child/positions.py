"""Which validation positions an array of token ids is made of, found by content.

The audit draws its validation stream at random, so short runs of ids occur once. `k` is two more than
makes every k-gram of the stream unique; ids covered by a matching k-gram get the stream position of
that k-gram, all others -1. Works for any layout (windows, batches, padding) and any route that the ids
took (torch, numpy, files, C), which no bookkeeping of tensors does.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MAX_GRAM = 24
SPARE = 2
"""Ids beyond the shortest unique run: ids that meet at the border of two windows must not match by chance."""
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)

Ids = NDArray[np.int64]


class PositionIndex:
    """Finds positions of `stream` (ids, shape (N,)) in arrays of ids."""

    def __init__(self, stream: Ids) -> None:
        self.size = int(stream.size)
        for gram in range(2, MAX_GRAM + 1):
            hashes = _gram_hashes(stream, gram)
            order = np.argsort(hashes, kind="stable")
            ordered = hashes[order]
            if ordered.size == 0 or not bool((ordered[1:] == ordered[:-1]).any()):
                break
        self.gram = gram + SPARE
        hashes = _gram_hashes(stream, self.gram)
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        self._starts = order.astype(np.int64)

    def find(self, ids: Ids) -> Ids | None:
        """Positions of `ids` (shape (n,)), -1 where unknown; None when nothing matches."""
        n = ids.size
        if n < self.gram or self._hashes.size == 0:
            return None
        hashes = _gram_hashes(ids, self.gram)
        slot = np.searchsorted(self._hashes, hashes)
        slot[slot == self._hashes.size] = 0
        hit = self._hashes[slot] == hashes
        if not bool(hit.any()):
            return None
        at = np.flatnonzero(hit)
        start = self._starts[slot[at]]
        found = np.full(n, -1, dtype=np.int64)
        # Matches in a row that continue each other are one piece of the stream, gram - 1 ids longer than they are many.
        breaks = np.flatnonzero((np.diff(at) != 1) | (np.diff(start) != 1)) + 1
        firsts = np.concatenate(([0], breaks))
        begins = at[firsts]
        ends = at[np.concatenate((breaks - 1, [at.size - 1]))] + self.gram
        shifts = start[firsts] - begins
        for piece in range(begins.size - 1):
            if begins[piece + 1] < ends[piece]:
                # Where a window ends with the id that happens to precede the next one, both could own it.
                # Rows of a batch are equally long, so the cut is where the array divides best.
                cuts = range(int(begins[piece + 1]), int(ends[piece]) + 1)
                begins[piece + 1] = ends[piece] = max(cuts, key=lambda cut: math.gcd(cut, n))
        lengths = np.maximum(ends - begins, 0)
        owner = np.repeat(np.arange(begins.size), lengths)
        place = begins[owner] + np.arange(owner.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        found[place] = place + shifts[owner]
        return found


def _gram_hashes(ids: Ids, gram: int) -> NDArray[np.uint64]:
    count = ids.size - gram + 1
    if count <= 0:
        return np.zeros(0, dtype=np.uint64)
    unsigned = ids.astype(np.uint64) + np.uint64(1)
    total = np.zeros(count, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for offset in range(gram):
            total = total * _MULTIPLIER + unsigned[offset : offset + count]
            total ^= total >> np.uint64(29)
    return total
