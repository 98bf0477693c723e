"""Programs that scripts start: what goes in comes back."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from verifier.probe.child import programs
from verifier.probe.child.uses import USES


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    made = programs.install()
    yield made
    shutil.rmtree(made)


def test_they_stand_behind_real_programs(folder: Path) -> None:
    assert os.environ["PATH"].endswith(f"{os.pathsep}{folder}")
    assert shutil.which("pyminify", path=str(folder))


def test_what_was_compressed_comes_back(folder: Path, tmp_path: Path) -> None:
    data, packed, back = tmp_path / "a.bin", tmp_path / "a.lrz", tmp_path / "b.bin"
    data.write_bytes(bytes(range(256)) * 100)
    command = str(folder / "lrzip")
    subprocess.run([command, "-z", "-L", "9", "-o", str(packed), str(data)], check=True, capture_output=True)
    assert packed.stat().st_size < data.stat().st_size
    subprocess.run([command, "-d", "-f", "-o", str(back), str(packed)], check=True, capture_output=True)
    assert back.read_bytes() == data.read_bytes()


def test_other_data_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no")
    done = subprocess.run([str(folder / "lrzip"), "-d", "-o", "-", str(tmp_path / "x")], capture_output=True)
    assert done.returncode == 1
    assert b"not an lrzip file" in done.stderr


def test_a_minified_source_is_the_same_program(folder: Path) -> None:
    command = [str(folder / "pyminify"), "--no-rename-locals", "--remove-asserts", "-"]
    done = subprocess.run(command, input=b"x = 1  # one\n", capture_output=True, check=True)
    assert done.stdout == b"x = 1  # one\n"


def test_its_use_is_counted(folder: Path) -> None:
    USES.clear()
    name = next(each for each in programs.PROGRAMS if str(folder) in (shutil.which(each) or ""))
    subprocess.run([name, "-"], input=b"", capture_output=True)
    assert USES[f"program {name}"] == 1
