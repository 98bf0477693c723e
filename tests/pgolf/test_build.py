"""A build gives a folder that trains and scores, with the bytes of the text as its denominator, or nothing."""

import numpy as np
import pytest

from pgolf import build, caseops, corpus
from pgolf.build import TokenizerConfig, build_dataset, check_transform
from pgolf.dataset import Dataset, byte_counter, require_dataset
from pgolf.evaluate.score import score_stream
from pgolf.shards import MissingShards, read_stream, write_shard
from pgolf.splits import SplitRule, Splitter
from pgolf.tokenizer import TokenizerError, load_tokenizer

TEXTS = list(corpus.documents("train", 150_000))
TEXT_BYTES = sum(len(text.encode()) for text in TEXTS)
CONFIGS = {
    "bpe": TokenizerConfig(vocab_size=600),
    "byte": TokenizerConfig("byte"),
    "case": TokenizerConfig(vocab_size=600, case_transform=True),
}


def labelled():
    return Splitter(SplitRule()).split(TEXTS)


VAL = [text for split, text in labelled() if split == "val"]


@pytest.fixture(scope="module", params=CONFIGS)
def built(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("build") / request.param
    return request.param, build_dataset(out, labelled, CONFIGS[request.param], text_bytes=TEXT_BYTES), out


def opened(built):
    _, made, out = built
    dataset = require_dataset(out, made.tokenizer_path)
    tokenizer = load_tokenizer(made.tokenizer_path)
    tokens = read_stream(dataset.val_pattern, vocab_size=tokenizer.vocab_size())
    return dataset, tokenizer, tokens, byte_counter(dataset, tokenizer, tokens)


def test_the_folder_holds_the_contests_names(built):
    kind, _, out = built
    tokenizer = {
        "bpe": "fineweb_600_bpe.model",
        "byte": "fineweb_pure_byte_260.json",
        "case": "fineweb_600_bpe_lossless_caps_caseops_v1_reserved.model",
    }[kind]
    sidecar = ["fineweb_val_bytes_000000.bin"] if kind == "case" else []
    names = sorted([tokenizer, "fineweb_train_000000.bin", "fineweb_val_000000.bin", *sidecar])
    assert sorted(path.name for path in out.iterdir()) == names
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_the_denominator_is_the_text(built):
    """UTF-8 bytes of the validation documents; what the contest's normalization takes away is not counted."""
    kind, made, _ = built
    _, tokenizer, tokens, counter = opened(built)
    whole = sum(len(text.encode()) for text in VAL)
    normalized = sum(len(tokenizer.decode(tokenizer.encode(text)).encode()) for text in VAL)
    assert counter.count_stream(tokens) == (normalized if kind == "bpe" else whole)
    assert made.counts["val"].original_bytes == (whole if kind == "case" else None)
    assert made.counts["val"].documents == len(VAL)
    losses = np.ones(len(tokens) - 1, dtype=np.float32)
    assert score_stream(losses, tokens, counter).bytes == counter.count_stream(tokens)


def test_the_shards_give_the_documents_back(built):
    kind, _, _ = built
    _, tokenizer, tokens, _ = opened(built)
    starts = [*np.flatnonzero(tokens == tokenizer.bos_id()), len(tokens)]
    read = [
        tokenizer.decode(tokens[start + 1 : end].tolist())
        for start, end in zip(starts, starts[1:], strict=False)
    ]
    if kind == "case":
        assert [caseops.decode(text) for text in read] == VAL
    elif kind == "byte":
        assert read == VAL
    else:
        assert [" ".join(text.split()) for text in read] == [" ".join(text.split()) for text in VAL]


def test_transformed_shards_are_never_counted_by_a_table(tmp_path):
    out = tmp_path / "data"
    made = build_dataset(out, labelled, CONFIGS["case"], text_bytes=TEXT_BYTES)
    dataset, tokenizer = Dataset(out, made.tokenizer_path), load_tokenizer(made.tokenizer_path)
    tokens = read_stream(dataset.val_pattern)
    (out / "fineweb_val_bytes_000000.bin").unlink()
    with pytest.raises(MissingShards, match="fineweb_val_bytes"):
        byte_counter(dataset, tokenizer, tokens)


def test_long_builds_are_cut_alike_in_shards_and_sidecar(tmp_path):
    build_dataset(tmp_path / "d", labelled, CONFIGS["case"], text_bytes=TEXT_BYTES, shard_tokens=1000)
    shards, sidecars = (
        sorted((tmp_path / "d").glob(pattern)) for pattern in ("fineweb_val_[0-9]*", "fineweb_val_bytes*")
    )
    assert len(shards) == len(sidecars) > 2
    assert [path.stat().st_size for path in shards] == [path.stat().st_size for path in sidecars]


def test_a_second_build_replaces_the_shards_of_the_first(tmp_path):
    out = tmp_path / "d"
    build_dataset(out, labelled, CONFIGS["byte"], text_bytes=TEXT_BYTES, shard_tokens=50_000)
    (out / "notes.txt").write_text("mine")
    assert len(list(out.glob("fineweb_train_*.bin"))) > 1
    build_dataset(out, labelled, CONFIGS["byte"], text_bytes=TEXT_BYTES)
    assert len(list(out.glob("fineweb_train_*.bin"))) == 1
    assert (out / "notes.txt").read_text() == "mine"


def test_a_build_that_fails_leaves_nothing(tmp_path):
    def breaks():
        yield from labelled()
        raise ValueError("line 7 is not text")

    with pytest.raises(ValueError, match="line 7"):
        build_dataset(tmp_path / "d", breaks, CONFIGS["byte"], text_bytes=TEXT_BYTES, shard_tokens=1000)
    with pytest.raises(TokenizerError, match="more text or a smaller vocabulary"):
        build_dataset(tmp_path / "d", labelled, TokenizerConfig(vocab_size=60_000), text_bytes=TEXT_BYTES)
    with pytest.raises(ValueError, match="val split has no document"):
        build_dataset(tmp_path / "d", lambda: [("train", "x")], CONFIGS["byte"], text_bytes=1)
    assert not list(tmp_path.iterdir())


def test_a_long_text_trains_its_vocabulary_on_an_even_sample(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(build, "train_tokenizer", lambda texts, *rest, **options: seen.extend(texts))
    monkeypatch.setattr(build, "TOKENIZER_TRAIN_BYTES", 1000)
    build.make_tokenizer(tmp_path / "t", CONFIGS["bpe"], labelled, text_bytes=3500)
    assert seen == [text for split, text in labelled() if split == "train"][::4]


def test_a_given_tokenizer_must_suit_the_transform(built):
    kind, made, _ = built
    check_transform(made.tokenizer_path, kind == "case")
    with pytest.raises(TokenizerError, match="case operators"):
        check_transform(made.tokenizer_path, kind != "case")


def test_configs_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="unknown tokenizer type 'word'; expected bpe or byte"):
        TokenizerConfig("word")
    with pytest.raises(ValueError, match="no vocabulary to reserve"):
        TokenizerConfig("byte", case_transform=True)


def test_a_sidecar_is_not_read_as_tokens(tmp_path):
    write_shard(tmp_path / "fineweb_val_000000.bin", [1, 2])
    write_shard(tmp_path / "fineweb_val_bytes_000000.bin", [0, 60_000])
    assert read_stream(Dataset(tmp_path, tmp_path).val_pattern).tolist() == [1, 2]
