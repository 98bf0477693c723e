"""A user's files become documents, unchanged, and each document is in one split only."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgolf.splits import SplitRule, Splitter
from pgolf.texts import find_texts


def documents(*sources, pattern="**/*"):
    return list(find_texts(list(sources), pattern).documents())


def test_text_files_are_cut_into_documents_that_join_to_the_text(tmp_path):
    text = "".join(f"line {i} é\r\n" + "\n" * (i % 7 == 0) for i in range(900)) + "\x0c\u2028 end"
    (tmp_path / "a.txt").write_bytes(text.encode())
    pieces = documents(tmp_path / "a.txt")
    assert "".join(pieces) == text
    assert len(pieces) > 3
    assert all(len(piece.encode()) < 2 * 2048 for piece in pieces)


def test_json_lines_are_a_document_each(tmp_path):
    path = tmp_path / "docs_selected.jsonl"
    texts = ["one\n\ntwo " * 2000, "é\u2028x", "  "]
    path.write_text("".join(json.dumps({"text": text, "id": 1}) + "\n" for text in texts) + '\n"bare"\n')
    assert documents(path) == [*texts[:2], "bare"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": ', r"d\.jsonl:2 is not JSON"),
        ('{"body": "x"}', r"d\.jsonl:2 has no text"),
        ("17", "has no text"),
    ],
)
def test_a_line_without_text_is_named(tmp_path, line, message):
    (tmp_path / "d.jsonl").write_text('{"text": "fine"}\n' + line + "\n")
    with pytest.raises(ValueError, match=message):
        documents(tmp_path / "d.jsonl")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "b").mkdir()
    for name, content in [("b/2.py", b"two"), ("1.py", b"one"), ("3.md", b"three"), ("4.py", b"na\xefve")]:
        (tmp_path / name).write_bytes(content)
    (tmp_path / "5.py").write_bytes(b"nul\0")
    (tmp_path / "6.py").write_bytes(b"")
    return tmp_path


def test_folders_and_globs_give_their_text_sorted_and_once(folder):
    assert documents(folder) == ["one", "three", "two"]
    assert documents(folder, pattern="**/*.py") == ["one", "two"]
    assert documents(folder / "*.md", folder / "**" / "*.py") == ["three", "one", "two"]
    assert documents(folder / "3.md", folder) == ["three", "one", "two"]
    found = find_texts([folder])
    assert (found.not_text, found.bytes) == (2, len("one" + "two" + "three"))


def test_sources_without_text_are_refused(folder):
    with pytest.raises(FileNotFoundError, match=r"missing\.txt: no such file or folder"):
        documents(folder / "missing.txt")
    with pytest.raises(ValueError, match=r"no text among the 0 files that match \*\.rst"):
        documents(folder, pattern="*.rst")
    with pytest.raises(ValueError, match=r"no text among the 1 files that match .*/4\*"):
        documents(folder / "4*")
    with pytest.raises(ValueError, match=r"4\.py is not UTF-8: byte 2; convert"):
        documents(folder / "4.py")


def test_the_position_of_a_bad_byte_is_that_in_the_file(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"first line\nsecond \xff")
    with pytest.raises(ValueError, match="byte 18"):
        documents(tmp_path / "x.txt")


rules = st.builds(SplitRule, val_docs=st.integers(1, 30)) | st.builds(
    SplitRule, val_share=st.floats(0.02, 0.5), val_docs=st.none()
)


@settings(max_examples=100, deadline=None)
@given(rule=rules, texts=st.lists(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), max_size=60))
def test_splits_share_no_document_and_lose_only_what_they_would_share(rule, texts):
    splitter = Splitter(rule)
    dealt = list(splitter.split(texts))
    held = {split: [text for name, text in dealt if name == split] for split in ("train", "val")}
    assert not set(held["train"]) & set(held["val"])
    assert len(dealt) + splitter.dropped == len(texts)
    assert set(held["train"]) | set(held["val"]) == set(texts)
    assert list(splitter.split(texts)) == dealt  # a second reading is the same


def test_the_contests_rule_takes_the_first_documents():
    splitter = Splitter(SplitRule(val_docs=3))
    dealt = list(splitter.split(["a", "b", "a", "c", "b", "d", "c"]))
    assert [text for split, text in dealt if split == "val"] == ["a", "b", "a"]  # as they are
    assert [text for split, text in dealt if split == "train"] == ["c", "d", "c"]
    assert splitter.dropped == 1


def test_an_even_share_is_spread_over_the_text():
    dealt = list(Splitter(SplitRule(val_share=0.25)).split(map(str, range(12))))
    assert [text for split, text in dealt if split == "val"] == ["3", "7", "11"]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"val_share": 0.9}, "got 0.9"), ({"val_share": 0}, "above 0"), ({"val_docs": 0}, "got 0")],
)
def test_bad_rules_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SplitRule(**options)
