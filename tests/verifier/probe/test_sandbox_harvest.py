"""Reading a tree that a hostile run has prepared."""

from __future__ import annotations

import os

import pytest

from verifier.probe.harvest import HarvestError, read_from_tree


def test_a_file_is_read(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "trace.json").write_bytes(b"{}")
    assert read_from_tree(tmp_path, "out/trace.json", 2) == b"{}"


def test_a_missing_file_is_told_from_a_false_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_from_tree(tmp_path, "out/trace.json", 10)


@pytest.mark.parametrize("name", ["link", "folder_link/secret", "pipe", "folder", "large", "secret/below"])
def test_what_is_no_plain_file_is_refused(tmp_path, name):
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    tree.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (tree / "secret").write_text("not a folder")
    (tree / "link").symlink_to(outside / "secret")
    (tree / "folder_link").symlink_to(outside)
    (tree / "folder").mkdir()
    (tree / "large").write_bytes(b"x" * 11)
    os.mkfifo(tree / "pipe")
    open_before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(HarvestError):
        read_from_tree(tree, name, 10)
    assert len(os.listdir("/proc/self/fd")) == open_before


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", ".."])
def test_a_name_that_leaves_the_tree_is_a_mistake_of_the_caller(tmp_path, name):
    with pytest.raises(ValueError, match="stays below"):
        read_from_tree(tmp_path, name, 10)
