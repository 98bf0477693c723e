"""The case transform gives every text back, and its sidecar counts the bytes of the text as it was."""

import io
import re
import string

import numpy as np
import pytest
import sentencepiece as spm
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pgolf import caseops, corpus
from pgolf.bytes import ByteTable
from pgolf.caseops import ALLCAPS, CAPNEXT, ESC, OPERATORS, TITLE
from pgolf.shards import ShardError
from pgolf.sidecar import ByteSidecar, OriginalBytes
from pgolf.tokenizer import has_case_operators, load_tokenizer, train_tokenizer

TRICKY = "".join(OPERATORS) + "\u2581_ abABzZ\n\0é\u0130ß"
texts = st.text(max_size=40) | st.text(alphabet=TRICKY, max_size=40) | st.text(string.ascii_letters + " ")


@pytest.fixture(scope="module")
def lossless(tmp_path_factory):
    """A tokenizer with operators, as `pgolf data build --case-transform` trains it."""
    path = tmp_path_factory.mktemp("case") / "t.model"
    documents = (caseops.encode(text) for text in corpus.documents("train", 150_000))
    return load_tokenizer(train_tokenizer(documents, 700, path, case_operators=True))


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("the quick fox", "the quick fox"),
        ("The NASA Launch", f"{TITLE}the {ALLCAPS}nasa {TITLE}launch"),
        ("I am iPhone4S", f"{TITLE}i am i{CAPNEXT}phone4{TITLE}s"),
        (
            "McDonald HTMLParser",
            f"{TITLE}mc{CAPNEXT}donald {TITLE}h{CAPNEXT}t{CAPNEXT}m{CAPNEXT}l{CAPNEXT}parser",
        ),
        ("aB", f"a{CAPNEXT}b"),
        ("É Über", f"É {'Ü'}ber"),
        (f"{TITLE}x{ESC}", f"{ESC}{TITLE}x{ESC}{ESC}"),
        ("\u2581", f"{ESC}_"),
    ],
)
def test_words_are_spelled_as_in_the_records(text, encoded):
    assert caseops.encode(text) == encoded


@settings(max_examples=500, deadline=None)
@given(texts)
@example("A" + TITLE + "B")
@example(ESC + "\u2581_" + ESC)
@example(ALLCAPS + "abc")
def test_every_text_comes_back(text):
    encoded = caseops.encode(text)
    assert caseops.decode(encoded) == text
    assert not re.search("[A-Z\u2581]", encoded)


@settings(max_examples=200, deadline=None)
@given(texts)
def test_decoding_is_defined_for_whatever_a_model_writes(text):
    assert not set(OPERATORS) & set(caseops.decode(text.replace(ESC, "")))


def reference_decode(text):
    """Another formula: the operators act on the text one character at a time."""
    out, escaped, capital, shouting = [], False, False, False
    for character in text:
        if escaped:
            out.append("\u2581" if character == "_" else character)
            escaped = shouting = False
        elif character == ESC:
            escaped, capital, shouting = True, False, False
        elif character in (TITLE, CAPNEXT):
            capital, shouting = True, False
        elif character == ALLCAPS:
            shouting = True
        else:
            is_letter = character in string.ascii_letters
            shouting = shouting and is_letter
            out.append(character.upper() if is_letter and (capital or shouting) else character)
            capital = False
    return "".join(out)


@settings(max_examples=300, deadline=None)
@given(texts)
def test_decoding_agrees_with_a_machine_of_single_characters(text):
    assert reference_decode(caseops.encode(text)) == text


@settings(max_examples=300, deadline=None)
@given(text=texts)
def test_ids_decode_to_the_text_and_their_bytes_add_up_to_it(lossless, text):
    ids = lossless.encode(caseops.encode(text))
    assert caseops.decode(lossless.decode(ids)) == text
    assert OriginalBytes(lossless).per_token(ids).sum() == len(text.encode())


def test_each_tokens_bytes_are_what_it_adds_to_the_decoded_text(lossless):
    count = OriginalBytes(lossless)
    for text in [
        "The NASA x",
        f"{TITLE}{TITLE}{ESC} {ESC}{ESC}",
        "a\u2581_b\u2581",
        "    def F(X):\n\n\treturn IT_X",
    ]:
        ids = lossless.encode(caseops.encode(text))
        decoded = ""
        for end, counted in enumerate(count.per_token(ids), start=1):
            written = lossless.decode(ids[:end])
            pending = len(re.search(f"{ESC}*$", written)[0]) % 2  # an escape that has not met its character
            now = caseops.decode(written[: len(written) - pending])
            assert counted == len(now.encode()) - len(decoded.encode())
            decoded = now
        assert decoded == text


def test_real_documents_have_the_same_denominator_with_and_without_the_transform(sp):
    """Against the contest's table on the untransformed text, both with the contest's normalization."""
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=(caseops.encode(text) for text in corpus.documents("train", 60_000)),
        model_writer=model,
        model_type="bpe",
        vocab_size=600,
        byte_fallback=True,
        add_dummy_prefix=False,
        normalization_rule_name="nmt_nfkc",
        user_defined_symbols=list(OPERATORS),
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        max_sentence_length=1 << 24,
        minloglevel=2,
    )
    as_in_the_records = spm.SentencePieceProcessor(model_proto=model.getvalue())
    count, table = OriginalBytes(as_in_the_records), ByteTable.from_tokenizer(sp)
    for document in corpus.documents("val", 60_000):
        ids = as_in_the_records.encode(caseops.encode(document))
        assert count.per_token(ids).sum() == table.count_stream([sp.bos_id(), *sp.encode(document)])


def test_operators_are_reserved_before_the_bytes(lossless, sp):
    assert [lossless.id_to_piece(i) for i in range(4, 8)] == list(OPERATORS)
    assert lossless.id_to_piece(8) == "<0x00>"
    assert lossless.vocab_size() == 700
    assert has_case_operators(lossless)
    assert not has_case_operators(sp)
    with pytest.raises(ValueError, match="count bytes from the sidecar"):
        ByteTable.from_tokenizer(lossless)


def test_a_sidecar_counts_its_own_stream_only():
    tokens = np.array([1, 5, 6, 7, 1, 9], dtype=np.uint16)
    sidecar = ByteSidecar(tokens, np.array([0, 3, 0, 60_000, 0, 60_000], dtype=np.uint16))
    assert sidecar.count_stream(tokens) == 120_003
    assert sidecar.count_stream(torch.from_numpy(tokens[:3].astype(np.int64))) == 3
    with pytest.raises(ValueError, match="do not begin the stream of 6"):
        sidecar.count_stream(tokens[1:])
    with pytest.raises(ShardError, match="5 counts for 6 tokens"):
        ByteSidecar(tokens, tokens[:5])
