"""The byte table agrees with the UTF-8 length of the decoded text, and with the contest's formula."""

import numpy as np
import pytest
import torch

from pgolf import corpus
from pgolf.bytes import ByteTable
from pgolf.testing.tokenizers import Kind, trained


@pytest.fixture(scope="session")
def table(sp):
    return ByteTable.from_tokenizer(sp, 1024)


def utf8_bytes_after_first(sp, ids):
    """Independent reference: what the decoder adds to the text after the first token."""
    first = sp.decode(ids[:1])
    text = sp.decode(ids)
    assert text.startswith(first)
    return len(text.encode()) - len(first.encode())


def test_bytes_of_real_documents_equal_the_decoded_text(sp, table):
    for document in corpus.documents("val", 40_000):
        ids = sp.encode("x " + document)
        assert table.count_stream(ids) == utf8_bytes_after_first(sp, ids)


def test_a_marker_inside_a_piece_is_one_byte_as_it_decodes():
    tokenizer = trained(Kind("with a marker inside", user_symbols=("a\u2581b", "\u2581\u2581")))
    counted = ByteTable.from_tokenizer(tokenizer)
    for text in ("xa b", "x  y", "xa b  a b"):
        ids = tokenizer.encode(text)
        assert counted.count_stream(ids) == utf8_bytes_after_first(tokenizer, ids)


def test_a_space_after_bos_is_not_charged(sp, table):
    word = next(i for i in range(1024) if sp.id_to_piece(i).startswith("▁") and len(sp.id_to_piece(i)) > 3)
    letters = len(sp.id_to_piece(word).encode()) - 3
    assert table.per_token([sp.bos_id(), word], [word, word]).tolist() == [letters, letters + 1]


def test_special_ids_count_nothing_and_bytes_count_one(sp, table):
    assert table.per_token([5, 5, 5, 5], [0, 1, 2, 3]).tolist() == [0, 0, 0, 0]
    assert table.per_token([5, 5], [4, 259]).tolist() == [1, 1]
    assert table.is_boundary_V[:4].all()
    assert not table.is_boundary_V[4:].any()


def test_a_larger_model_vocabulary_adds_ids_of_zero_bytes(sp):
    table = ByteTable.from_tokenizer(sp, 1100)
    assert table.vocab_size == 1100
    assert table.per_token([5], [1099]).tolist() == [0]
    assert table.is_boundary_V[1099]


def test_torch_numpy_and_lists_agree_in_any_shape(table):
    ids = np.random.default_rng(0).integers(0, 1024, size=(3, 8))
    expected = table.per_token(ids, ids[::-1])
    assert expected.shape == (3, 8)
    assert (table.per_token(torch.tensor(ids), torch.tensor(ids[::-1].copy())) == expected).all()
    assert table.count(ids.ravel().tolist(), ids[::-1].ravel().tolist()) == expected.sum()


@pytest.mark.parametrize(
    ("prev", "target", "message"),
    [([1], [1024], "id 1024"), ([-1], [1], "id -1"), ([1, 2], [1], "shape"), ([1.5], [1], "integers")],
)
def test_ids_are_never_clamped(table, prev, target, message):
    with pytest.raises(ValueError, match=message):
        table.per_token(np.array(prev), np.array(target))
