"""Dataset folders hold the text they were made from, in the contest's layout."""

import numpy as np
import pytest

from pgolf import dataset
from pgolf.shards import MissingShards, read_stream
from pgolf.tokenizer import TokenizerError, load_tokenizer

TEXTS = ["First document, with a few words.", "  ", "Second: naïve ☃ text.", "third 123"]


def test_documents_follow_each_other_behind_a_bos(sp, tmp_path):
    counts = dataset.write_split(tmp_path, "val", sp, TEXTS)
    tokens = read_stream(str(tmp_path / "fineweb_val_*.bin")).tolist()
    assert counts == dataset.SplitCounts(documents=3, tokens=len(tokens), shards=1)
    starts = [i for i, token in enumerate(tokens) if token == sp.bos_id()]
    pieces = [tokens[a + 1 : b] for a, b in zip(starts, [*starts[1:], len(tokens)], strict=True)]
    assert [sp.decode(piece) for piece in pieces] == [text for text in TEXTS if text.strip()]


def test_long_splits_are_cut_into_shards(sp, tmp_path):
    counts = dataset.write_split(tmp_path, "train", sp, TEXTS * 5, shard_tokens=50)
    assert counts.shards == len(list(tmp_path.iterdir())) == -(-counts.tokens // 50)
    expected = dataset.encode_documents(sp, [text for text in TEXTS * 5 if text.strip()])
    assert np.array_equal(read_stream(str(tmp_path / "fineweb_train_*.bin")), expected)


def test_the_embedded_dataset_is_built_once(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "EMBEDDED_TRAIN_BYTES", 60_000)
    monkeypatch.setattr(dataset, "EMBEDDED_VAL_BYTES", 10_000)
    built = dataset.embedded_dataset(1024, cache_dir=tmp_path)
    assert dataset.require_dataset(built.folder, built.tokenizer_path) == built
    assert read_stream(built.val_pattern, vocab_size=1024).size > 1000
    written = built.folder.stat().st_mtime_ns
    assert dataset.embedded_dataset(1024, cache_dir=tmp_path) == built
    assert built.folder.stat().st_mtime_ns == written
    assert [path.name for path in built.folder.parent.iterdir()] == [built.folder.name]
    assert load_tokenizer(built.tokenizer_path).vocab_size() == 1024


def test_what_is_missing_is_named(tokenizer_path, sp, tmp_path):
    with pytest.raises(TokenizerError, match="no tokenizer"):
        dataset.require_dataset(tmp_path, tmp_path / "t.model")
    with pytest.raises(MissingShards, match="no data folder at .*nowhere"):
        dataset.require_dataset(tmp_path / "nowhere", tokenizer_path)
    dataset.write_split(tmp_path, "train", sp, TEXTS)
    with pytest.raises(MissingShards, match="fineweb_val"):
        dataset.require_dataset(tmp_path, tokenizer_path)


def test_empty_text_and_bad_shard_sizes_are_refused(sp, tmp_path):
    with pytest.raises(ValueError, match="val split has no document"):
        dataset.write_split(tmp_path, "val", sp, [" ", ""])
    with pytest.raises(ValueError, match="shard_tokens"):
        dataset.write_split(tmp_path, "val", sp, TEXTS, shard_tokens=0)
