"""What an online n-gram table held just before each token, for a whole stream at once.

A table that is read and then updated at every position never needs to be run step by step: before event i,
the count of a key is how many events before i have that key, which is i's rank among equal keys under a
stable sort. Totals, distinct successors and the most frequent successor follow by running sums and maxima
inside the runs of the sorted events. O(E log E) for E events, on any device, without a loop.

Contexts are hashed into buckets, and a bucket counts exact (bucket, token) pairs. So a collision merges two
contexts into one, but a bucket's total is still the sum over tokens of its counts. The contest's hashed
caches had two tables, of contexts and of contexts with target, whose collisions do not fit each other:
their ratios sum to hundreds over the vocabulary (rule R-051, #886).

Shapes: N tokens, E events (a context and the token that came after it), in stream order.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

HASH_STEP = 0x9E3779B97F4A7C15 - (1 << 64)
"""Odd, 2^64 over the golden ratio; as int64, whose products wrap."""
HASH_SHIFT = 23
HASH_MASK = (1 << (64 - HASH_SHIFT)) - 1


class ContextHash:
    """Bucket of the last `length` tokens, for one length after the other: a polynomial in wrapping int64."""

    def __init__(self, tokens_N: Tensor, buckets: int) -> None:
        self.buckets = buckets
        self.length = 0
        self._codes_N = tokens_N + 1
        self._power = 1
        self._hash_N = torch.zeros_like(self._codes_N)

    def lengthen(self) -> Tensor:
        """Takes one more token into the context; buckets_E of the contexts that end at N - E, ..., N - 1."""
        # An event is a position with enough tokens behind it, so each longer context loses the first.
        older_E = self._codes_N[: len(self._codes_N) - self.length]
        previous_E = self._hash_N if self.length == 0 else self._hash_N[1:]
        self._power = _wrap(self._power * HASH_STEP)
        self._hash_N = previous_E + older_E * self._power
        self.length += 1
        return ((self._hash_N >> HASH_SHIFT) & HASH_MASK) % self.buckets


def hash_context(context: list[int], buckets: int) -> int:
    """The bucket that `ContextHash` gives these tokens, oldest first; plain Python for one context."""
    value, power = 0, 1
    for token in reversed(context):
        power = _wrap(power * HASH_STEP)
        value = _wrap(value + (token + 1) * power)
    return ((value >> HASH_SHIFT) & HASH_MASK) % buckets


class Recent:
    """The end of a stream that grows: the bucket of its last tokens, for each order that it is long enough for."""

    def __init__(self, orders: range, buckets: int) -> None:
        self.orders = orders
        self.buckets = buckets
        self._tokens: list[int] = []

    def append(self, token: int) -> None:
        self._tokens.append(token)
        del self._tokens[: 1 - self.orders.stop]

    def contexts(self) -> list[tuple[int, int]]:
        """(order, bucket) of the contexts that the next token will follow, shortest first."""
        fitting = [order for order in self.orders if order <= len(self._tokens) + 1]
        return [(order, hash_context(self._tokens[1 - order :], self.buckets)) for order in fitting]


def _wrap(value: int) -> int:
    """As int64 arithmetic has it."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


@dataclass(frozen=True)
class SeenBefore:
    """The S events whose bucket was there before, from the events before each of them alone; in no order."""

    event_S: Tensor
    total_S: Tensor
    """At least 1: an event that is not listed came to an empty bucket."""
    distinct_S: Tensor
    """Different tokens seen."""
    token_S: Tensor
    """How often the token that comes now was seen. The only field that depends on it."""


def seen_before(bucket_E: Tensor, token_E: Tensor, vocab_size: int) -> SeenBefore:
    """Read-then-update counts of (bucket, token) events.

    Most long contexts come once, so all that follows the first sort is over the R events of shared buckets.
    """
    bucket_E, event_E = _sorted(bucket_E)
    same_E = bucket_E[1:] == bucket_E[:-1]
    shared_E = torch.zeros(len(bucket_E), dtype=torch.bool, device=bucket_E.device)
    shared_E[1:] = same_E
    shared_E[:-1] |= same_E
    bucket_R, event_R = bucket_E[shared_E], event_E[shared_E]
    age_R = _age(bucket_R)
    pair_R, place_R = _sorted(bucket_R * vocab_size + token_E[event_R])
    count_R = torch.empty_like(age_R)
    count_R[place_R] = _age(pair_R)
    new_R = (count_R == 0).long()
    before_R = new_R.cumsum(0) - new_R
    later_R = age_R > 0
    place_S = later_R.nonzero()[:, 0]
    age_S = age_R[place_S]
    distinct_S = before_R[place_S] - before_R[place_S - age_S]
    return SeenBefore(event_R[place_S], age_S, distinct_S, count_R[place_S])


@dataclass(frozen=True)
class BestBefore:
    """The most frequent token of each event's bucket; of equals, the one that got there first."""

    token_E: Tensor
    """-1 where the bucket is empty."""
    count_E: Tensor
    total_E: Tensor


def best_before(bucket_E: Tensor, token_E: Tensor, vocab_size: int) -> BestBefore:
    """Read-then-update argmax of (bucket, token) events; does not depend on an event's own token."""
    count_E = rank_in_key(bucket_E * vocab_size + token_E) + 1
    bucket_E, order_E = _sorted(bucket_E)
    age_E = _age(bucket_E)
    place_E = torch.arange(len(bucket_E), device=bucket_E.device)
    # A run's values lie above all earlier runs', so that one running maximum serves them all.
    height_E = (place_E - age_E) * (len(bucket_E) + 1) + count_E[order_E]
    highest_E = height_E.cummax(0).values
    record_E = torch.ones_like(place_E, dtype=torch.bool)
    record_E[1:] = height_E[1:] > highest_E[:-1]
    record_at_E = place_E.where(record_E, 0).cummax(0).values
    # The record before an event is the one that held after the event before it, in the same run.
    before_E = record_at_E.roll(1)
    known_E = age_E > 0
    best_E = torch.empty_like(bucket_E)
    best_E[order_E] = token_E[order_E][before_E].where(known_E, -1)
    best_count_E = torch.empty_like(bucket_E)
    best_count_E[order_E] = count_E[order_E][before_E].where(known_E, 0)
    total_E = torch.empty_like(bucket_E)
    total_E[order_E] = age_E
    return BestBefore(best_E, best_count_E, total_E)


def rank_in_key(key_E: Tensor) -> Tensor:
    """How many earlier events have the same key."""
    sorted_E, order_E = _sorted(key_E)
    rank_E = torch.empty_like(key_E)
    rank_E[order_E] = _age(sorted_E)
    return rank_E


def _age(sorted_E: Tensor) -> Tensor:
    """How many equal keys stand before each of sorted keys."""
    place_E = torch.arange(len(sorted_E), device=sorted_E.device)
    first_E = torch.ones_like(place_E, dtype=torch.bool)
    first_E[1:] = sorted_E[1:] != sorted_E[:-1]
    start_R = first_E.nonzero()[:, 0]
    length_R = torch.diff(start_R, append=start_R.new_tensor([len(sorted_E)]))
    return place_E - start_R.repeat_interleave(length_R, output_size=len(sorted_E))


def _sorted(key_E: Tensor) -> tuple[Tensor, Tensor]:
    """Keys of at least 0 in order, and the events they belong to: of equal keys the earlier event first."""
    bits = len(key_E).bit_length()
    if key_E.device.type == "cpu" and (not len(key_E) or int(key_E.max()) < 1 << (63 - bits)):
        # One number holds both, and NumPy sorts numbers three times as fast as torch sorts numbers with places.
        packed_E = (key_E << bits) | torch.arange(len(key_E))
        packed_E.numpy().sort()
        return packed_E >> bits, packed_E & ((1 << bits) - 1)
    in_order = key_E.sort(stable=True)
    return in_order.values, in_order.indices
