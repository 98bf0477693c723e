"""Git objects read by us say what git itself says of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.verifier.intake.repositories import RECORD, Repo, submission
from verifier.intake.git import GitError, open_repository
from verifier.intake.objects import Objects


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "clone")


def objects(repo: Repo) -> Objects:
    return Objects(("git", "-C", str(repo.path)), {"PATH": "/usr/bin:/bin:/usr/local/bin"})


def asked(repo: Repo, *arguments: str) -> str:
    command = ("git", "-C", str(repo.path), *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_tree_is_what_git_lists(repo: Repo) -> None:
    head = repo.pull(7, {**submission(RECORD), "records.txt": "after a slash", "records/a b": "blank"})
    listed = [line.split("\t") for line in asked(repo, "ls-tree", "-r", head).splitlines()]
    expected = [(meta.split()[0], meta.split()[2], path) for meta, path in listed]
    assert [tuple(entry) for entry in objects(repo).walk(head)] == expected


def test_changes_are_what_git_shows(repo: Repo) -> None:
    base = repo.commit({"kept.txt": "1", "edited.txt": "1", "removed.txt": "1", "turns": "a file"})
    (repo.path / "removed.txt").unlink()
    (repo.path / "turns").unlink()
    head = repo.commit({"edited.txt": "2", "turns/into": "a folder", "new/deep/file": "3"})
    rows = asked(repo, "diff-tree", "-r", "--no-renames", "--name-status", base, head).splitlines()
    expected = {(path, state == "A") for state, path in (row.split("\t") for row in rows) if state != "D"}
    assert {(entry.path, added) for entry, added in objects(repo).changed(base, head)} == expected


def test_the_base_is_git_s_merge_base_also_behind_a_merge_of_main(repo: Repo) -> None:
    head = repo.pull(7, submission(RECORD))
    main = repo.commit({"later.txt": "on main"})
    repo.git("checkout", "--quiet", head)
    repo.git("merge", "--quiet", "--no-edit", main)
    merged = asked(repo, "rev-parse", "HEAD").strip()
    repo.git("checkout", "--quiet", "main")
    repo.commit({"last.txt": "on main"})
    for each in (head, merged):
        assert open_repository(repo.path).base(each) == asked(repo, "merge-base", "main", each).strip()


def test_a_missing_object_is_missing_and_the_next_is_read(repo: Repo, tmp_path: Path) -> None:
    head = repo.pull(7, submission(RECORD))
    reader = objects(repo)
    assert reader.commit("0" * 40) is None
    assert reader.write("0" * 40, tmp_path / "never", 10) is None
    found = reader.commit(head)
    assert found is not None
    assert found.name == head


def test_a_blob_over_the_limit_is_told_and_not_written(repo: Repo, tmp_path: Path) -> None:
    repo.commit({"large": "x" * 100, "small": "y"})
    reader = objects(repo)
    blobs = {entry.path: entry.blob for entry in reader.walk(asked(repo, "rev-parse", "main").strip())}
    assert reader.write(blobs["large"], tmp_path / "large", 99) == 100
    assert not (tmp_path / "large").exists()
    assert reader.write(blobs["small"], tmp_path / "small", 99) == 1
    assert (tmp_path / "small").read_text() == "y"


@pytest.mark.parametrize("name", ["main", "", "HEAD\n", "0" * 40 + "\n" + "0" * 40])
def test_only_full_names_are_asked_for(repo: Repo, name: str) -> None:
    with pytest.raises(GitError, match="not the full name"):
        objects(repo).tree(name)
