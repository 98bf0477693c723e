"""Scratch folders: gone after use, after a kill, and whatever a run left in them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from verifier.probe.scratch import PREFIX, remove_tree, scratch_folder, sweep

DEEP = 4000  # beyond a path, a recursion, and the open files that a process may have


def nest(folder: Path, depth: int) -> None:
    script = f"import os\nfor _ in range({depth}):\n os.mkdir('d')\n os.chdir('d')\nopen('leaf', 'w')"
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True)


def test_a_scratch_folder_is_gone_afterwards_whatever_is_in_it() -> None:
    with scratch_folder() as folder:
        nest(folder, DEEP)
        (folder / "link").symlink_to("/")
        os.mkfifo(folder / "pipe")
    assert not folder.exists()


def test_removal_follows_no_link(tmp_path: Path) -> None:
    outside, tree = tmp_path / "outside", tmp_path / "tree"
    outside.mkdir()
    (outside / "kept").touch()
    tree.mkdir()
    (tree / "link").symlink_to(outside)
    remove_tree(tree)
    assert (outside / "kept").exists()
    assert not tree.exists()


def test_folders_that_nobody_may_enter_are_removed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "locked" / "inside").mkdir(parents=True)
    (tree / "locked" / "inside" / "file").touch()
    (tree / "locked" / "inside").chmod(0)
    (tree / "locked").chmod(0)
    remove_tree(tree)
    assert not tree.exists()


def test_a_sweep_removes_what_a_killed_process_left_and_nothing_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    held = "import os, signal; from verifier.probe.scratch import scratch_folder\n"
    held += "with scratch_folder() as folder: print(folder, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    killed = subprocess.run(
        [sys.executable, "-c", held],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    left = Path(killed.stdout.strip())
    assert left.name.startswith(PREFIX)
    assert left.is_dir()
    with scratch_folder() as in_use:
        assert not left.exists()
        assert sweep(tmp_path) == []
        assert in_use.is_dir()
