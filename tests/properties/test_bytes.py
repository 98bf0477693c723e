"""The byte table counts the UTF-8 bytes of the decoded text, for any tokenizer and any tokens."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import sentencepiece as spm
from hypothesis import assume, given
from hypothesis import strategies as st

from pgolf import corpus
from pgolf.byte_tokenizer import ByteTokenizer
from pgolf.bytes import SPACE_MARKER, ByteTable
from pgolf.testing.strategies import tokenizers
from pgolf.testing.tokenizers import KINDS, trained
from pgolf.tokenizer import Tokenizer
from tests.properties.profile import assert_refuted, examples

MakeTable = Callable[[Tokenizer], ByteTable]
TOKENIZERS = tokenizers() | st.just(ByteTokenizer())
WORDS = sorted({word for each in corpus.documents("val", 20_000) for word in each.split()})
TEXTS = st.text(max_size=40) | st.lists(
    st.sampled_from(WORDS)
    | st.sampled_from([" ", "  ", "\t", "\n", SPACE_MARKER, "a b", "<|sep|>", "é", "漢", "🙂"]),
    max_size=20,
).map(" ".join)


@cache
def pieces(tokenizer: Tokenizer) -> tuple[list[int], dict[int, int]]:
    """Tokens of text, and the token of each byte where the tokenizer has them."""
    kept, byte_tokens = [], {}
    for token in range(tokenizer.vocab_size()):
        if tokenizer.is_control(token) or tokenizer.is_unknown(token) or tokenizer.is_unused(token):
            continue
        if tokenizer.is_byte(token):
            byte_tokens[int(tokenizer.id_to_piece(token)[3:-1], 16)] = token
        else:
            kept.append(token)
    return kept, byte_tokens


def ids(tokenizer: Tokenizer) -> st.SearchStrategy[list[int]]:
    """Any pieces in any order, and the bytes of whole characters."""
    kept, byte_tokens = pieces(tokenizer)
    parts = []
    if kept:
        parts.append(st.sampled_from(kept).map(lambda token: [token]))
    if byte_tokens:
        parts.append(st.characters(codec="utf-8").map(lambda c: [byte_tokens[b] for b in c.encode()]))
    return st.lists(st.one_of(parts), max_size=30).map(
        lambda drawn: [token for part in drawn for token in part]
    )


def decoded_bytes(tokenizer: Tokenizer, stream: list[int]) -> int:
    """What the tokens behind the first one add to the decoded text: the decoder drops the spaces it opens with."""
    first, text = tokenizer.decode(stream[:1]), tokenizer.decode(stream)
    assert text.startswith(first)
    return len(text.encode()) - len(first.encode())


def opening(tokenizer: Tokenizer) -> int:
    """A token of one letter: what follows it is no longer at the start of a text."""
    found: list[int] = tokenizer.encode("x")
    return found[-1]


def check_tokens(make: MakeTable, tokenizer: Tokenizer, data: st.DataObject) -> None:
    stream = [opening(tokenizer), *data.draw(ids(tokenizer))]
    assert make(tokenizer).count_stream(stream) == decoded_bytes(tokenizer, stream)


def check_text(make: MakeTable, tokenizer: Tokenizer, text: str) -> None:
    stream = [opening(tokenizer), *tokenizer.encode(text)]
    assume(not any(tokenizer.is_unknown(token) for token in stream))
    assert make(tokenizer).count_stream(stream) == decoded_bytes(tokenizer, stream)


@examples(200)
@given(tokenizer=TOKENIZERS, data=st.data())
def test_any_tokens_of_any_tokenizer(tokenizer: Tokenizer, data: st.DataObject) -> None:
    check_tokens(ByteTable.from_tokenizer, tokenizer, data)


@examples(200)
@given(tokenizer=TOKENIZERS, text=TEXTS)
def test_any_text_in_any_tokenizer(tokenizer: Tokenizer, text: str) -> None:
    check_text(ByteTable.from_tokenizer, tokenizer, text)


def edited(change: Callable[[spm.SentencePieceProcessor, np.ndarray], None]) -> MakeTable:
    def make(tokenizer: Tokenizer) -> ByteTable:
        table = ByteTable.from_tokenizer(tokenizer)
        change(tokenizer, table.base_bytes_V)
        return table

    return make


def each(count: Callable[[spm.SentencePieceProcessor, int, int], int]) -> MakeTable:
    """A table whose base bytes are `count` of tokenizer, token and the right number."""

    def change(tokenizer: spm.SentencePieceProcessor, base_V: np.ndarray) -> None:
        for token, right in enumerate(base_V.tolist()):
            base_V[token] = count(tokenizer, token, right)

    return edited(change)


ILLEGAL = {
    "space counted twice": each(lambda sp, t, right: right + sp.id_to_piece(t).startswith(SPACE_MARKER)),
    "byte token as U+FFFD": each(lambda sp, t, right: 3 if sp.is_byte(t) else right),
    "characters for bytes": each(
        lambda sp, t, right: (
            right if sp.is_byte(t) or not right else len(sp.id_to_piece(t).lstrip(SPACE_MARKER))
        )
    ),
    "inner marker as three bytes": each(
        lambda sp, t, right: right + 2 * sp.id_to_piece(t).removeprefix(SPACE_MARKER).count(SPACE_MARKER)
    ),
    "marker as three bytes": each(
        lambda sp, t, right: right + 2 * sp.id_to_piece(t).startswith(SPACE_MARKER)
    ),
}


@pytest.mark.mutant
@pytest.mark.parametrize("name", ILLEGAL)
def test_a_table_that_counts_otherwise_is_caught(name: str) -> None:
    assert_refuted(lambda **case: check_tokens(ILLEGAL[name], **case), tokenizer=tokenizers(), data=st.data())


@pytest.mark.mutant
@pytest.mark.parametrize("name", [name for name in ILLEGAL if name != "inner marker as three bytes"])
def test_text_catches_it_too(name: str) -> None:
    assert_refuted(lambda **case: check_text(ILLEGAL[name], **case), tokenizer=tokenizers(), text=TEXTS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_of_tokenizer_reads_text(kind) -> None:
    """A kind whose texts were all unknown to it would prove nothing."""
    stream = trained(kind).encode("def read(self): return 0")
    assert len(stream) > 5
    assert not any(trained(kind).is_unknown(token) for token in stream)
