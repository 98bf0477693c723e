"""Tokenizers have the contest's special ids, the exact size, and the same bytes every time."""

import pytest

from pgolf import corpus
from pgolf.tokenizer import TokenizerError, cached_tokenizer, load_tokenizer, train_tokenizer


def test_special_ids_and_byte_tokens_are_the_contests(sp):
    assert (sp.pad_id(), sp.bos_id(), sp.eos_id(), sp.unk_id()) == (0, 1, 2, 3)
    assert sp.vocab_size() == 1024
    assert [sp.id_to_piece(4 + value) for value in (0, 255)] == ["<0x00>", "<0xFF>"]
    assert sum(sp.is_byte(i) for i in range(1024)) == 256


def test_training_twice_gives_the_same_file(tmp_path):
    texts = list(corpus.documents("train", 60_000))
    a = train_tokenizer(texts, 600, tmp_path / "a.model")
    b = train_tokenizer(texts, 600, tmp_path / "b.model")
    assert a.read_bytes() == b.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.model", "b.model"]


def test_text_outside_the_vocabulary_falls_back_to_bytes(sp):
    text = "snowman ☃ and 𝄞"
    ids = sp.encode(text)
    assert any(sp.is_byte(i) for i in ids)
    assert sp.unk_id() not in ids
    assert sp.decode(ids) == text


def test_cached_tokenizer_is_built_once(tmp_path, monkeypatch):
    monkeypatch.setattr("pgolf.tokenizer.training_bytes", lambda vocab_size: 60_000)
    path = cached_tokenizer(600, cache_dir=tmp_path)
    written = path.stat().st_mtime_ns
    assert cached_tokenizer(600, cache_dir=tmp_path) == path
    assert path.stat().st_mtime_ns == written
    assert load_tokenizer(path).vocab_size() == 600


@pytest.mark.parametrize("vocab_size", [0, 300, 70_000])
def test_a_vocabulary_out_of_range_is_refused(tmp_path, vocab_size):
    with pytest.raises(TokenizerError, match="out of range"):
        train_tokenizer(["text"], vocab_size, tmp_path / "t.model")


def test_too_little_text_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(TokenizerError, match="more text or a smaller vocabulary"):
        train_tokenizer(["a few words only"], 1024, tmp_path / "t.model")
    assert not list(tmp_path.iterdir())


def test_unreadable_models_name_the_path(tmp_path):
    with pytest.raises(TokenizerError, match=r"no tokenizer at .*missing\.model"):
        load_tokenizer(tmp_path / "missing.model")
    (tmp_path / "broken.model").write_bytes(b"not a model")
    with pytest.raises(TokenizerError, match=r"broken\.model is not a SentencePiece model"):
        load_tokenizer(tmp_path / "broken.model")
