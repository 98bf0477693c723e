"""Shards round trip, and each way of being wrong has its own error."""

import numpy as np
import pytest

from pgolf import shards


@pytest.fixture
def shard(tmp_path):
    return shards.write_shard(tmp_path / "fineweb_val_000000.bin", np.arange(1000) % 512)


@pytest.mark.parametrize("memmap", [False, True])
def test_round_trip(shard, memmap):
    tokens = shards.read_shard(shard, vocab_size=512, memmap=memmap)
    assert tokens.dtype == np.uint16
    assert (tokens == np.arange(1000) % 512).all()


def test_the_layout_is_the_contests(shard):
    raw = shard.read_bytes()
    assert len(raw) == 1024 + 2000
    assert np.frombuffer(raw[:12], "<i4").tolist() == [20240520, 1, 1000]
    assert not any(raw[12:1024])


def test_writing_leaves_no_other_file(shard):
    assert [path.name for path in shard.parent.iterdir()] == [shard.name]


def test_an_empty_shard_is_readable(tmp_path):
    path = shards.write_shard(tmp_path / "empty.bin", np.array([], dtype=np.uint16))
    assert shards.read_shard(path, memmap=True, vocab_size=10).size == 0


def set_header(raw, index, value):
    header = np.frombuffer(raw[:1024], "<i4").copy()
    header[index] = value
    return header.tobytes() + raw[1024:]


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda raw: set_header(raw, 0, 7), shards.BadMagic),
        (lambda raw: set_header(raw, 1, 2), shards.BadVersion),
        (lambda raw: set_header(raw, 2, 1001), shards.TruncatedShard),
        (lambda raw: set_header(raw, 2, -1), shards.TruncatedShard),
        (lambda raw: set_header(raw, 2, 999), shards.TrailingBytes),
        (lambda raw: raw[:-1], shards.TruncatedShard),
        (lambda raw: raw[:100], shards.TruncatedShard),
        (lambda raw: raw + b"\0", shards.TrailingBytes),
    ],
)
def test_each_damage_has_its_error(shard, damage, error):
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(error, match="fineweb_val_000000"):
        shards.read_shard(shard)


def test_an_id_beyond_the_vocabulary_is_named(shard):
    with pytest.raises(shards.TokenOutOfRange, match="id 300 at position 300"):
        shards.read_shard(shard, vocab_size=300)


@pytest.mark.parametrize("tokens", [[70_000], [-1], [[1, 2]], [0.5]])
def test_ids_that_do_not_fit_are_not_written(tmp_path, tokens):
    with pytest.raises(shards.ShardError):
        shards.write_shard(tmp_path / "x.bin", np.array(tokens))
    assert not list(tmp_path.iterdir())


def test_a_stream_joins_shards_in_name_order(tmp_path):
    shards.write_shard(tmp_path / "t_000001.bin", [3, 4])
    shards.write_shard(tmp_path / "t_000000.bin", [1, 2])
    assert shards.read_stream(str(tmp_path / "t_*.bin")).tolist() == [1, 2, 3, 4]


def test_a_pattern_without_files_says_so(tmp_path):
    with pytest.raises(shards.MissingShards, match="no shard matches"):
        shards.read_stream(str(tmp_path / "nothing_*.bin"))
    with pytest.raises(shards.MissingShards, match="no such file"):
        shards.read_shard(tmp_path / "nothing.bin")
