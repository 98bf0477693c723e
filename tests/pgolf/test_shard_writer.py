"""Shards hold the documents they were made from, in the contest's layout, whatever the tokenizer."""

import numpy as np
import pytest

from pgolf import corpus
from pgolf.byte_tokenizer import ByteTokenizer
from pgolf.shard_writer import BATCH_DOCUMENTS, SplitCounts, write_split
from pgolf.shards import read_stream

TEXTS = ["First document, with a few words.", "  ", "Second: naïve ☃ text.", "third 123"]
KEPT = [text for text in TEXTS if text.strip()]


def one_by_one(tokenizer, texts):
    return [i for text in texts for i in (tokenizer.bos_id(), *tokenizer.encode(text))]


@pytest.mark.parametrize("kind", ["bpe", "byte"])
def test_documents_follow_each_other_behind_a_bos(sp, tmp_path, kind):
    tokenizer = sp if kind == "bpe" else ByteTokenizer()
    counts = write_split(tmp_path, "val", tokenizer, TEXTS)
    tokens = read_stream(str(tmp_path / "fineweb_val_*.bin")).tolist()
    assert counts == SplitCounts(documents=3, tokens=len(tokens), shards=1)
    assert tokens == one_by_one(tokenizer, KEPT)
    starts = [i for i, token in enumerate(tokens) if token == tokenizer.bos_id()]
    pieces = [tokens[a + 1 : b] for a, b in zip(starts, [*starts[1:], len(tokens)], strict=True)]
    assert [tokenizer.decode(piece) for piece in pieces] == KEPT


@pytest.mark.parametrize("shard_tokens", [1, 50, 10_000])
def test_long_splits_are_cut_into_full_shards(sp, tmp_path, shard_tokens):
    counts = write_split(tmp_path, "train", sp, TEXTS * 5, shard_tokens=shard_tokens)
    assert counts.shards == len(list(tmp_path.iterdir())) == -(-counts.tokens // shard_tokens)
    assert read_stream(str(tmp_path / "fineweb_train_*.bin")).tolist() == one_by_one(sp, KEPT * 5)


def test_more_documents_than_a_batch_are_all_written_in_order(tmp_path):
    texts = [str(i) for i in range(2 * BATCH_DOCUMENTS + 7)]
    counts = write_split(tmp_path, "train", ByteTokenizer(), iter(texts))
    assert counts.documents == len(texts)
    tokens = read_stream(str(tmp_path / "fineweb_train_*.bin"))
    assert np.array_equal(tokens, one_by_one(ByteTokenizer(), texts))


def test_a_batch_on_many_threads_is_the_same_as_one_document_at_a_time(sp, tmp_path):
    texts = list(corpus.documents("val", 60_000))
    write_split(tmp_path, "val", sp, texts)
    assert read_stream(str(tmp_path / "fineweb_val_*.bin")).tolist() == one_by_one(sp, texts)


def test_empty_text_bad_shard_sizes_and_unsuited_tokenizers_are_refused(sp, tmp_path):
    with pytest.raises(ValueError, match="val split has no document"):
        write_split(tmp_path, "val", sp, [" ", ""])
    with pytest.raises(ValueError, match="shard_tokens"):
        write_split(tmp_path, "val", sp, TEXTS, shard_tokens=0)

    class WithoutBos(ByteTokenizer):
        def bos_id(self):
            return -1

    with pytest.raises(ValueError, match="needs a bos id"):
        write_split(tmp_path, "val", WithoutBos(), TEXTS)
