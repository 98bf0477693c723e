"""The byte tokenizer numbers ids as the contest's exporter does, and works wherever SentencePiece does."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgolf import byte_tokenizer
from pgolf.byte_tokenizer import ByteTokenizer
from pgolf.bytes import ByteTable
from pgolf.tokenizer import TokenizerError, cached_tokenizer, load_tokenizer


def test_ids_are_bytes_behind_four_special_ids():
    tokenizer = ByteTokenizer()
    assert tokenizer.vocab_size() == 260
    assert tokenizer.encode("Aé\0") == [69, 4 + 0xC3, 4 + 0xA9, 4]
    assert tokenizer.encode(["a", "b"], num_threads=2) == [[101], [102]]
    assert (tokenizer.bos_id(), tokenizer.id_to_piece(1), tokenizer.id_to_piece(69)) == (1, "<s>", "<0x41>")


@given(st.text())
def test_every_text_comes_back_and_every_byte_is_counted(text):
    tokenizer = ByteTokenizer()
    ids = tokenizer.encode(text)
    assert tokenizer.decode([1, *ids, 2]) == text
    assert ByteTable.from_tokenizer(tokenizer).count_stream([1, *ids]) == len(text.encode())


def test_special_ids_count_nothing():
    table = ByteTable.from_tokenizer(ByteTokenizer())
    assert table.per_token([69] * 6, [0, 1, 2, 3, 4, 259]).tolist() == [0, 0, 0, 0, 1, 1]
    assert table.is_boundary_V.tolist() == [True] * 4 + [False] * 256


def test_broken_ids_and_surrogates_still_give_text():
    tokenizer = ByteTokenizer()
    assert tokenizer.decode([4 + 0xC3, 69]) == "\ufffdA"
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a?b"


def test_its_file_is_the_contests_description(tmp_path):
    path = cached_tokenizer(260, cache_dir=tmp_path)
    assert path.name == "fineweb_pure_byte_260.json"
    described = json.loads(path.read_text())
    assert described["tokenizer_type"] == "pure_byte"
    assert described["config"]["byte_offset"] == 4
    assert isinstance(load_tokenizer(path), ByteTokenizer)


@pytest.mark.parametrize(
    "content", ["not json", "{}", json.dumps({**byte_tokenizer.DESCRIPTION, "vocab_size": 256})]
)
def test_another_description_is_refused(tmp_path, content):
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(TokenizerError, match=r"t\.json does not describe"):
        load_tokenizer(tmp_path / "t.json")
