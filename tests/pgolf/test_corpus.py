"""The embedded corpus is the same every time, and its splits share nothing."""

import pytest

from pgolf import corpus


def test_documents_are_deterministic_and_bounded():
    first = list(corpus.documents("train", 200_000))
    assert first == list(corpus.documents("train", 200_000))
    size = sum(len(document.encode()) for document in first)
    assert 150_000 < size <= 200_000


def test_a_shorter_request_is_a_prefix_of_a_longer_one():
    short, long = list(corpus.documents("val", 50_000)), list(corpus.documents("val", 90_000))
    assert long[: len(short)] == short


def test_splits_share_no_document():
    train, val = set(corpus.documents("train")), set(corpus.documents("val"))
    assert not train & val
    val_share = sum(map(len, val)) / (sum(map(len, val)) + sum(map(len, train)))
    assert 0.02 < val_share < 0.15


def test_split_documents_loses_nothing_and_cuts_no_line():
    text = "\n".join("x" * (i % 90) for i in range(3000))
    documents = list(corpus.split_documents(text, document_bytes=500))
    assert "".join(documents) == text
    assert all(len(document) <= 600 and document.endswith("\n") for document in documents[:-1])


@pytest.mark.parametrize(("split", "max_bytes"), [("test", None), ("train", 0), ("train", -1)])
def test_bad_requests_are_refused(split, max_bytes):
    with pytest.raises(ValueError, match="split|max_bytes"):
        list(corpus.documents(split, max_bytes))


def test_fingerprint_is_stable():
    assert corpus.fingerprint() == corpus.fingerprint()
    assert len(corpus.fingerprint()) == 16
