"""Validation streams drawn from sources that the verifier knows exactly.

A stream is documents of ids drawn independently and uniformly from a fixed alphabet, each started by a
BOS at a position fixed in advance. Its entropy is then exact: ln|A| nats for each drawn id, nothing for
a BOS (its position and value are given, so a predictor may know it). The seed is drawn by the parent and
never enters the child.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.uint16]

DOCUMENT_TOKENS = (811, 402, 1003, 299, 655, 487, 921, 350)
"""Lengths of the documents, repeated: unequal, none a multiple of a usual window or chunk."""


@dataclass(frozen=True)
class Source:
    """Independent uniform ids over `alphabet`, in documents that start with `bos_id`."""

    name: str
    alphabet: tuple[int, ...]
    bos_id: int

    def draw(self, targets: int, seed: tuple[int, ...]) -> Stream:
        """A stream of `targets` + 1 ids (the first is a BOS and never a target)."""
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
        ids = np.asarray(self.alphabet, dtype=np.uint16)[rng.integers(len(self.alphabet), size=targets + 1)]
        ids[document_starts(targets + 1)] = self.bos_id
        return Stream(self, ids, seed)


@dataclass(frozen=True)
class Stream:
    """A drawn stream. Position p (1..N) is the target `ids[p]`; position 0 is context only."""

    source: Source
    ids: Ids
    seed: tuple[int, ...]
    flipped: range | None = None
    """Positions whose ids were redrawn, when this is a flip of another stream."""

    @property
    def targets(self) -> int:
        return int(self.ids.size) - 1

    def code_length_nats(self) -> NDArray[np.float64]:
        """-ln Q(x_p | past) for p = 0..N: ln|A| for drawn ids, 0 for each BOS and for position 0."""
        nats = np.full(self.ids.size, math.log(len(self.source.alphabet)))
        nats[document_starts(self.ids.size)] = 0.0
        return nats

    @property
    def entropy_nats(self) -> float:
        """Mean of `code_length_nats` over all N targets: no causal predictor beats it in expectation."""
        return float(self.code_length_nats()[1:].mean())

    def flip(self, block: range, seed: tuple[int, ...]) -> Stream:
        """The same stream with the drawn ids of `block` redrawn; every BOS stays where and what it is."""
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence((*seed, block.start, block.stop))))
        alphabet = np.asarray(self.source.alphabet, dtype=np.uint16)
        ids = self.ids.copy()
        index = {int(token): place for place, token in enumerate(alphabet)}
        for position in block:
            place = index.get(int(ids[position]))
            if place is None:
                continue
            # Never the same id: shift by 1..|A|-1.
            shift = int(rng.integers(1, len(alphabet)))
            ids[position] = alphabet[(place + shift) % len(alphabet)]
        return replace(self, ids=ids, flipped=block)


def document_starts(size: int) -> NDArray[np.int64]:
    """Positions of BOS in a stream of `size` ids; the same for every stream of that size."""
    starts, at, turn = [], 0, 0
    while at < size:
        starts.append(at)
        at += DOCUMENT_TOKENS[turn % len(DOCUMENT_TOKENS)]
        turn += 1
    return np.asarray(starts, dtype=np.int64)
