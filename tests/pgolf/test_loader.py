"""Batches come in stream order, and the ranks share the stream without overlap."""

import numpy as np
import pytest
import torch

from pgolf.loader import Position, TokenLoader
from pgolf.shards import ShardError, TokenOutOfRange, write_shard


@pytest.fixture
def pattern(tmp_path):
    write_shard(tmp_path / "fineweb_train_000000.bin", np.arange(0, 100))
    write_shard(tmp_path / "fineweb_train_000001.bin", np.arange(100, 130))
    return str(tmp_path / "fineweb_train_*.bin")


def test_targets_are_inputs_shifted_by_one(pattern):
    inputs, targets = TokenLoader(pattern).next_batch(24, seq_len=8)
    assert inputs.shape == targets.shape == (3, 8)
    assert inputs.dtype == torch.int64
    assert inputs.flatten().tolist() == list(range(24))
    assert targets.flatten().tolist() == list(range(1, 25))


def test_each_call_goes_on_where_the_last_span_ended(pattern):
    loader = TokenLoader(pattern)
    loader.next_batch(24, 8)
    assert loader.next_batch(24, 8).inputs_BT[0, 0] == 25  # the span is 24 + 1 tokens, as in the contest


def test_spans_cross_shards_and_wrap_around(pattern):
    loader = TokenLoader(pattern)
    loader.restore(Position(0, 95))
    inputs, targets = loader.next_batch(16, 8)
    assert inputs.flatten().tolist() == list(range(95, 111))
    assert targets[-1, -1] == 111
    loader.restore(Position(1, 25))
    assert loader.next_batch(8, 8).targets_BT.flatten().tolist() == [126, 127, 128, 129, 0, 1, 2, 3]


def test_ranks_cut_one_span_of_the_stream_between_them(pattern):
    alone = TokenLoader(pattern)
    ranks = [TokenLoader(pattern, rank=rank, world_size=2) for rank in range(2)]
    for _ in range(3):
        stream = [alone.next_batch(8, 8).inputs_BT for _ in range(2)]
        for rank, loader in enumerate(ranks):
            assert loader.next_batch(16, 8).inputs_BT.tolist() == stream[rank].tolist()


def test_a_restored_loader_repeats_itself(pattern):
    loader = TokenLoader(pattern)
    loader.next_batch(8, 8)
    position = loader.position()
    first = loader.next_batch(96, 8).inputs_BT
    loader.restore(position)
    assert torch.equal(first, loader.next_batch(96, 8).inputs_BT)


@pytest.mark.parametrize(("tokens", "accum"), [(12, 1), (16, 3), (0, 1)])
def test_a_step_that_is_not_whole_sequences_is_refused(pattern, tokens, accum):
    with pytest.raises(ValueError, match="use a multiple of"):
        TokenLoader(pattern).next_batch(tokens, 8, accum)


def test_bad_shards_and_ranks_are_refused(pattern, tmp_path):
    with pytest.raises(TokenOutOfRange):
        TokenLoader(pattern, vocab_size=50)
    with pytest.raises(ValueError, match="rank 2 of world_size 2"):
        TokenLoader(pattern, rank=2, world_size=2)
    write_shard(tmp_path / "empty_000000.bin", np.array([], dtype=np.uint16))
    with pytest.raises(ShardError, match="hold no token"):
        TokenLoader(str(tmp_path / "empty_*.bin"))
