"""Vectorized counts against a table that is read and updated event by event."""

from collections import Counter, defaultdict

import torch
from hypothesis import given
from hypothesis import strategies as st

from pgolf.evaluate.counts import ContextHash, best_before, hash_context, rank_in_key, seen_before

events = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=60)


def columns(pairs):
    bucket, token = zip(*pairs, strict=True)
    return torch.tensor(bucket), torch.tensor(token)


@given(events)
def test_counts_are_those_of_a_table_read_before_each_update(pairs):
    bucket_E, token_E = columns(pairs)
    found = seen_before(bucket_E, token_E, vocab_size=6)
    columns_S = (found.event_S, found.total_S, found.distinct_S, found.token_S)
    by_event = {event: counts for event, *counts in torch.stack(columns_S, 1).tolist()}
    assert len(by_event) == len(found.event_S)
    table = defaultdict(Counter)
    for i, (bucket, token) in enumerate(pairs):
        seen = table[bucket]
        assert by_event.get(i, [0, 0, 0]) == [seen.total(), len(seen), seen[token]]
        seen[token] += 1


@given(events)
def test_the_best_token_is_the_first_to_reach_the_highest_count(pairs):
    found = best_before(*columns(pairs), vocab_size=6)
    table, best = defaultdict(Counter), {}
    for i, (bucket, token) in enumerate(pairs):
        seen = table[bucket]
        assert found.token_E[i] == best.get(bucket, -1)
        assert found.count_E[i] == max(seen.values(), default=0)
        assert found.total_E[i] == seen.total()
        seen[token] += 1
        if bucket not in best or seen[token] > seen[best[bucket]]:
            best[bucket] = token


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_a_rank_is_the_number_of_earlier_equals(keys):
    ranks = rank_in_key(torch.tensor(keys)).tolist()
    assert ranks == [keys[:i].count(key) for i, key in enumerate(keys)]


@given(
    tokens=st.lists(st.integers(0, 8191), min_size=1, max_size=30),
    buckets=st.sampled_from([1, 7, 4_194_304]),
)
def test_context_hashes_are_those_of_the_tokens_alone(tokens, buckets):
    hashes = ContextHash(torch.tensor(tokens), buckets)
    for length in range(1, len(tokens) + 1):
        found = hashes.lengthen().tolist()
        expected = [
            hash_context(tokens[end - length : end], buckets) for end in range(length, len(tokens) + 1)
        ]
        assert found == expected
        assert all(0 <= bucket < buckets for bucket in found)


def test_few_contexts_collide_in_the_full_table():
    contexts = {(a, b, c) for a in range(20) for b in range(50) for c in range(20)}
    used = {hash_context(list(context), 4_194_304) for context in contexts}
    # 20,000 keys in 4,194,304 buckets: 47.6 collisions are expected of a random function.
    assert len(contexts) - len(used) < 100
