"""Snippets: the lines around each place, from the opened text, and nothing from outside the folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.verifier import fakes
from tests.verifier.report import samples
from verifier.finding import State, Where
from verifier.report.snippet import LONGEST_LINE, cut_snippets
from verifier.submission import ShippedFile, Submission

SOURCE = "".join(f"line {number}\n" for number in range(1, 31))


def folder(root: Path) -> Submission:
    made = fakes.submission(root)
    assert made.script is not None
    (root / "train_gpt.py").write_text("packed")
    (root / "train.log").write_text("a\nb\nc\n")
    files = (*made.files, ShippedFile("train.log", 6, "ef" * 32))
    return replace(made, files=files, script=replace(made.script, source=SOURCE))


def cut(root: Path, *where: Where, state: State = State.FAIL) -> list[tuple[str, int, tuple[str, ...]]]:
    found = cut_snippets(folder(root), [samples.finding("X1-any", "t", state, "m", *where)])
    return [(each.file, each.line, each.lines) for each in found]


def test_the_script_is_shown_opened_with_its_neighbours(tmp_path: Path) -> None:
    ((file, first, lines),) = cut(tmp_path, Where("train_gpt.py", 10))
    assert (file, first) == ("train_gpt.py", 6)
    assert lines == tuple(f"line {number}" for number in range(6, 15))


def test_the_first_line_of_a_log_has_no_lines_before_it(tmp_path: Path) -> None:
    assert cut(tmp_path, Where("train.log", 1)) == [("train.log", 1, ("a", "b", "c", ""))]


def test_a_place_is_cut_once_and_a_pass_not_at_all(tmp_path: Path) -> None:
    assert len(cut(tmp_path, Where("train.log", 2), Where("train.log", 2))) == 1
    assert cut(tmp_path, Where("train.log", 2), state=State.PASS) == []


def test_what_is_not_a_shipped_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x\n")
    inside = tmp_path / "folder"
    inside.mkdir()
    assert cut(inside, Where("../secret", 1), Where("nothing.py", 1), Where("train_gpt.py", 400)) == []


def test_a_long_line_is_cut(tmp_path: Path) -> None:
    made = folder(tmp_path)
    assert made.script is not None
    made = replace(made, script=replace(made.script, source="x" * 1000))
    (found,) = cut_snippets(made, [samples.finding("X1-any", "t", State.FAIL, "m", Where("train_gpt.py", 1))])
    assert len(found.lines[0]) == LONGEST_LINE
