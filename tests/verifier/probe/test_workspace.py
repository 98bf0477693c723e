"""What of a submitted folder comes into a run's tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from verifier.probe import workspace
from verifier.probe.vocabulary import Vocabulary


def copied(folder: Path, tree: Path) -> set[str]:
    workspace.build_without_data(tree, folder=folder, vocabulary=Vocabulary.of_size(1024))
    return {path.name for path in (tree / workspace.RUN).iterdir()} - {"data"}


def test_files_folders_and_links_between_files_are_copied(tmp_path: Path) -> None:
    folder = tmp_path / "submission"
    (folder / "tokenizers").mkdir(parents=True)
    (folder / "train_gpt.py").write_text("pass")
    (folder / "train.log").symlink_to("train_gpt.py")
    assert copied(folder, tmp_path / "tree") == {"tokenizers", "train_gpt.py", "train.log"}


def test_links_that_go_round_or_out_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "train_gpt.py").write_text("pass")
    for name, target in (("itself", "itself"), ("here", "."), ("above", ".."), ("passwd", "/etc/passwd")):
        (folder / name).symlink_to(target)
    assert copied(folder, tmp_path / "tree") == {"train_gpt.py"}


def test_a_file_of_holes_is_not_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "MAX_TREE_BYTES", 1 << 20)
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "train_gpt.py").write_text("pass")
    with (folder / "train.log").open("wb") as log:
        log.truncate(1 << 40)
    assert copied(folder, tmp_path / "tree") == {"train_gpt.py"}
