"""Dataset folders are found, checked, and built from the embedded corpus once."""

import numpy as np
import pytest

from pgolf import corpus, dataset
from pgolf.bytes import ByteTable
from pgolf.shard_writer import write_split
from pgolf.shards import MissingShards, read_stream
from pgolf.tokenizer import TokenizerError, cached_tokenizer, load_tokenizer

TEXTS = ["First document, with a few words.", "Second: naïve ☃ text."]


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
    write_split(tmp_path, "train", sp, TEXTS)
    with pytest.raises(MissingShards, match="fineweb_val"):
        dataset.require_dataset(tmp_path, tokenizer_path)


@pytest.mark.parametrize("vocab_size", [4096, 8192])
def test_the_embedded_corpus_fills_the_contests_larger_vocabularies(tmp_path, vocab_size):
    path = cached_tokenizer(vocab_size, cache_dir=tmp_path)
    tokenizer = load_tokenizer(path)
    assert tokenizer.vocab_size() == vocab_size
    tokens = np.array(tokenizer.encode("x " + next(corpus.documents("val"))))
    text = tokenizer.decode(tokens.tolist())
    assert ByteTable.from_tokenizer(tokenizer).count_stream(tokens) == len(text.encode()) - 1


def test_the_embedded_dataset_can_be_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "EMBEDDED_TRAIN_BYTES", 20_000)
    monkeypatch.setattr(dataset, "EMBEDDED_VAL_BYTES", 5_000)
    built = dataset.embedded_dataset(260, cache_dir=tmp_path)
    tokens = read_stream(built.val_pattern, vocab_size=260)
    counter = dataset.byte_counter(built, load_tokenizer(built.tokenizer_path), tokens)
    assert counter.count_stream(tokens) == sum(len(text.encode()) for text in corpus.documents("val", 5_000))
