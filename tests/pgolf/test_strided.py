"""An epoch of the strided loader is every block once, in an order that ranks and paths do not change."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pgolf.loader import TokenLoader
from pgolf.prefetch import Prefetch
from pgolf.shards import MissingShards, ShardError, TokenOutOfRange, write_shard
from pgolf.strided import StridedLoader, plan_walk

SEQ = 8
SIZES = (100, 7, 41, 9, 64)  # blocks of 8: 12, 0, 5, 1, 7; each needs one token more
BLOCKS = 25


@pytest.fixture(scope="module")
def pattern(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"))


def write_shards(folder):
    first = 0
    for index, size in enumerate(SIZES):
        write_shard(folder / f"fineweb_train_{index:06d}.bin", np.arange(first, first + size))
        first += 1000
    return str(folder / "fineweb_train_*.bin")


def all_blocks():
    """Brute force: the first token of each block that its shard holds whole, with the token after it."""
    return sorted(
        1000 * shard + start
        for shard, size in enumerate(SIZES)
        for start in range(0, size, SEQ)
        if start + SEQ + 1 <= size
    )


def visits(loader, count, per_step=1):
    firsts = []
    for _ in range(count // per_step):
        inputs, targets = loader.next_batch(per_step * SEQ, SEQ)
        assert torch.equal(inputs[:, 1:], targets[:, :-1])
        assert torch.equal(targets, inputs + 1)  # the shards count upwards
        firsts += inputs[:, 0].tolist()
    return firsts


@pytest.mark.parametrize("seed", range(5))
def test_every_epoch_visits_every_block_once(pattern, seed):
    assert len(all_blocks()) == BLOCKS
    order = visits(StridedLoader(pattern, seed=seed), 3 * BLOCKS)
    epochs = [order[start : start + BLOCKS] for start in range(0, 3 * BLOCKS, BLOCKS)]
    assert all(sorted(epoch) == all_blocks() for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_batches_that_cross_the_end_of_an_epoch_lose_nothing(pattern):
    assert visits(StridedLoader(pattern, seed=1), 60, per_step=6) == visits(
        StridedLoader(pattern, seed=1), 60
    )


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 1000),
    blocks=st.integers(1, 3000) | st.integers(1, 2**40),
)
def test_a_walk_is_a_permutation_that_does_not_crawl(seed, epoch, blocks):
    walk = plan_walk(seed, epoch, blocks)
    assert math.gcd(walk.stride, blocks) == 1
    assert 0 <= walk.start < blocks
    if blocks >= 100:
        assert blocks // 4 <= walk.stride
        assert walk.stride <= blocks - blocks // 4 + 100  # gaps between coprimes are short
    if blocks <= 3000:
        assert sorted(walk.at(np.arange(blocks)).tolist()) == list(range(blocks))


def test_consecutive_visits_mix_the_shards(tmp_path):
    for shard in range(10):
        write_shard(tmp_path / f"t_{shard}.bin", np.full(80 * SEQ + 1, shard))
    inputs, _ = StridedLoader(str(tmp_path / "t_*.bin"), seed=3).next_batch(40 * SEQ, SEQ)
    share = Counter(inputs[:, 0].tolist())
    assert len(share) == 10
    assert max(share.values()) <= 8  # 4 each on average


@pytest.mark.parametrize(("world_size", "accum"), [(1, 1), (1, 4), (2, 2), (4, 1), (2, 1), (3, 1), (1, 3)])
def test_ranks_and_micro_batches_deal_out_one_order(pattern, world_size, accum):
    alone = StridedLoader(pattern, seed=9)
    ranks = [StridedLoader(pattern, seed=9, rank=rank, world_size=world_size) for rank in range(world_size)]
    for _ in range(5):
        expected = alone.next_batch(12 * SEQ, SEQ).inputs_BT
        dealt = [loader.next_batch(12 * SEQ, SEQ, accum).inputs_BT for _ in range(accum) for loader in ranks]
        assert torch.equal(torch.cat(dealt), expected)
    assert {loader.position() for loader in ranks} == {60}


def test_the_order_depends_on_the_seed_and_not_on_the_folder(pattern, tmp_path):
    elsewhere = write_shards(tmp_path / "another" / "place")
    order = visits(StridedLoader(pattern, seed=4), BLOCKS)
    assert order == visits(StridedLoader(elsewhere, seed=4), BLOCKS)
    assert order != visits(StridedLoader(pattern, seed=5), BLOCKS)


def test_a_restored_loader_repeats_itself(pattern):
    loader = StridedLoader(pattern, seed=2)
    visits(loader, 20)
    position = loader.position()
    expected = visits(loader, 12)
    loader.restore(position)
    assert visits(loader, 12) == expected
    other = StridedLoader(pattern, seed=2)
    other.restore(position)
    assert visits(other, 12) == expected


@pytest.mark.parametrize("make", [TokenLoader, lambda pattern: StridedLoader(pattern, seed=6)])
def test_reading_ahead_changes_nothing(pattern, make):
    plain, ahead = make(pattern), Prefetch(make(pattern))
    for step, tokens in enumerate([16, 16, 16, 32, 32, 16, 16, 16]):
        assert ahead.position() == plain.position()
        assert torch.equal(ahead.next_batch(tokens, SEQ).targets_BT, plain.next_batch(tokens, SEQ).targets_BT)
        if step == 3:
            held = plain.position()
        if step == 5:
            plain.restore(held)
            ahead.restore(held)


def test_an_error_in_reading_ahead_is_raised_where_its_batch_is_due(tmp_path):
    write_shard(tmp_path / "t_0.bin", [*range(17), 99])
    (tmp_path / "t_1.bin").write_bytes(b"cut short")
    ahead = Prefetch(TokenLoader(str(tmp_path / "t_*.bin")))
    assert ahead.next_batch(8, SEQ).inputs_BT[0, 0] == 0
    assert ahead.next_batch(8, SEQ).inputs_BT[0, 0] == 9
    with pytest.raises(ShardError, match="the header alone"):
        ahead.next_batch(8, SEQ)


def test_bad_data_and_bad_requests_are_refused(pattern, tmp_path):
    with pytest.raises(MissingShards):
        StridedLoader(str(tmp_path / "t_*.bin"), seed=0)
    with pytest.raises(ValueError, match="rank 2 of world_size 2"):
        StridedLoader(pattern, seed=0, rank=2, world_size=2)
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        StridedLoader(pattern, seed=-1)
    with pytest.raises(ValueError, match="use a multiple of 24"):
        StridedLoader(pattern, seed=0).next_batch(32, SEQ, 3)
    with pytest.raises(ShardError, match=r"holds 200 \+ 1 tokens; the longest has 100"):
        StridedLoader(pattern, seed=0).next_batch(200, 200)
    with pytest.raises(TokenOutOfRange, match=r"fineweb_train_0.* from token .* vocabulary has 50 ids"):
        visits(StridedLoader(pattern, seed=0, vocab_size=50), BLOCKS)
    loader = StridedLoader(pattern, seed=0)
    loader.next_batch(8, SEQ)
    with pytest.raises(ValueError, match="seq_len 4 after batches of 8"):
        loader.next_batch(8, 4)
    with pytest.raises(ValueError, match="position must be at least 0"):
        loader.restore(-1)
