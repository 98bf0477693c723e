"""The commands in the documentation do what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.console import Block, Command, read_blocks

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if "<!-- run" in path.read_text())
QUICK = [page for page in PAGES if any(not block.slow for block in read_blocks(page) if block.commands)]
SLOW = [page for page in PAGES if any(block.slow for block in read_blocks(page))]


@pytest.fixture
def scratch(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A folder with this checkout's submissions in it, and an environment that has the commands."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, words in (("pgolf-verify", "-m verifier"), ("pgolf", "-m pgolf"), ("python", "")):
        script = commands / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        script.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    for name in ("submissions", "tests", "benchmarks", "action.yml"):
        (work / name).symlink_to(ROOT / name)
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR")},
        "PATH": f"{commands}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "100",
    }
    return work, environment


def run_page(page: Path, scratch: tuple[Path, dict[str, str]], slow: bool) -> None:
    work, environment = scratch
    for block in read_blocks(page):
        if block.file:
            (work / block.file).write_text(block.text)
        elif slow or not block.slow:
            for command in block.commands:
                run_command(block, command, work, environment)


def run_command(block: Block, command: Command, work: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-c", command.text],
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    place = f"{block.page}:{block.line}: {command.text}"
    assert done.returncode == command.exit_code, f"{place}\n{done.stdout}"
    assert command.shows(done.stdout), f"{place}\nshown:\n{command.output}\nprinted:\n{done.stdout}"


@pytest.mark.parametrize("page", QUICK, ids=lambda page: page.name)
def test_the_quick_examples_of_a_page(page: Path, scratch: tuple[Path, dict[str, str]]) -> None:
    run_page(page, scratch, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW, ids=lambda page: page.name)
def test_all_examples_of_a_page(page: Path, scratch: tuple[Path, dict[str, str]]) -> None:
    run_page(page, scratch, slow=True)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_every_link_inside_the_documentation_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


# ---- the runner itself --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "printed", "agrees"),
    [
        ("", "anything at all", True),
        ("one\ntwo", "one\ntwo\n", True),
        ("one\ntwo", "one\ntwo\nthree\n", False),
        ("one\n…", "one\ntwo\nthree\n", True),
        ("took … s", "took 3.1 s\n", True),
        ("took … s", "took 3.1 minutes\n", False),
        ("a.c", "abc\n", False),
    ],
)
def test_what_a_page_shows_is_compared_with_what_was_printed(shown: str, printed: str, agrees: bool) -> None:
    assert Command("x", shown).shows(printed) is agrees


def test_blocks_are_read_with_their_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- write a.py -->\n\n```python\nx = 1\n```\n\n<!-- run slow exit 3 -->\n```console\n$ one \\\n    more\nsaid\n"
        "$ two\n```\n\n```console\n$ not run\n```\n"
    )
    written, ran = read_blocks(page)
    assert (written.file, written.text) == ("a.py", "x = 1\n")
    assert ran.slow
    assert ran.commands == (Command("one \\\n    more", "said"), Command("two", "", 3))


@pytest.mark.parametrize("mark", ["<!-- run quickly -->\n```console\n$ x\n```\n", "<!-- run -->\nno block\n"])
def test_a_mark_that_would_be_passed_over_is_an_error(tmp_path: Path, mark: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(mark)
    with pytest.raises(ValueError, match=r"page\.md"):
        read_blocks(page)
