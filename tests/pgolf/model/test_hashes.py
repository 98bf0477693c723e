"""Hashes agree with Python's unbounded integers, for every id that a tokenizer can have."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgolf.model.bigram import bigram_hash
from pgolf.model.engram import multiplier, ngram_hash
from pgolf.model.history import NO_TOKEN, suffix, with_history

token_ids = st.integers(0, 2**31 - 1)


@settings(max_examples=60, deadline=None)
@given(current=token_ids, previous=token_ids, rows=st.integers(2, 2**20))
def test_the_bigram_hash_cannot_overflow(current, previous, rows):
    got = bigram_hash(torch.tensor(current), torch.tensor(previous), rows).item()
    assert got == ((36313 * current) ^ (27191 * previous)) % (rows - 1)


def test_the_bigram_hash_is_the_contests_where_int32_holds():
    ids = torch.randint(0, 59_000, (2, 500), dtype=torch.int32)
    contest = torch.bitwise_xor(36313 * ids[0], 27191 * ids[1]) % 2047
    assert torch.equal(bigram_hash(*ids, 2048), contest.long())


@settings(max_examples=60, deadline=None)
@given(
    tokens=st.lists(token_ids, min_size=2, max_size=8), head=st.integers(0, 40), buckets=st.integers(1, 2**20)
)
def test_the_ngram_hash_cannot_overflow(tokens, head, buckets):
    mixed = 0
    for back, token in enumerate(tokens):
        mixed ^= token * multiplier(head, back)
    got = ngram_hash([torch.tensor(token) for token in tokens], head, buckets).item()
    assert got == (mixed ^ (mixed >> 29)) % buckets


def test_hash_heads_spread_and_collide_apart():
    """Every pair of 64 ids: buckets are filled evenly, and pairs that meet in one head part in the other."""
    pairs = torch.cartesian_prod(torch.arange(64), torch.arange(64)).T
    first, second = (ngram_hash(list(pairs), head, 512) for head in (4, 5))
    for bucket in (first, second):
        counts = bucket.bincount(minlength=512).double()
        assert (counts - 8).square().sum() / 8 < 2 * 512  # chi-squared: 511 for a random function
    meet = (first[:, None] == first[None]).triu(1)
    assert (meet & (second[:, None] == second[None])).sum() < 0.02 * meet.sum()


def test_multipliers_are_odd_and_differ():
    drawn = [multiplier(head, back) for head in range(32) for back in range(8)]
    assert all(factor % 2 == 1 and 0 < factor < 2**31 for factor in drawn)
    assert len(set(drawn)) == len(drawn)


@settings(max_examples=60, deadline=None)
@given(
    ids=st.lists(st.integers(1, 4), min_size=1, max_size=12),
    carried=st.lists(st.integers(1, 4), max_size=5),
    order=st.integers(2, 4),
    extra=st.integers(0, 2),
)
def test_a_suffix_is_complete_where_its_document_holds_it(ids, carried, order, extra):
    ids_BS = with_history(torch.tensor([ids]), torch.tensor([carried], dtype=torch.int64), order - 1 + extra)
    tokens, complete = suffix(ids_BS, order, len(ids), bos_id=1)
    stream = carried + ids
    for t in range(len(ids)):
        at = len(carried) + t
        gram = stream[at - order + 1 : at + 1] if at >= order - 1 else []
        assert bool(complete[0, t]) == (len(gram) == order and 1 not in gram[1:])
        if gram:
            assert [int(token[0, t]) for token in tokens] == gram[::-1]
    assert NO_TOKEN < 0
