"""The corpus is what it says: one edit each, every illegal entry has a twin, and the table counts right."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.cheats.corpus import Edit, Entry, write_folder
from tests.cheats.mutants import ENTRIES, ILLEGAL, LEGAL
from tests.cheats.scorecard import BEGIN, END, MARKER, Row, main, matrix, write_between_markers
from verifier.audit import Level, audit
from verifier.checks import load_checks
from verifier.finding import State
from verifier.report.markers import between
from verifier.verdict import Call


def row(entry: Entry, call: Call, **states: State) -> Row:
    return Row(entry, {name.replace("_", "-"): state for name, state in states.items()}, call, (), 1.0)


CHEAT = Entry("cheat", "cheats", caught_by="E1-floor")
EXCUSED = Entry("excused", "cheats where nobody looks", caught_by="E1-floor", survives="it is off here")
HONEST = Entry("fair", "does not")


def test_names_are_unique_and_twins_are_legal() -> None:
    names = [entry.name for entry in ENTRIES]
    assert len(set(names)) == len(names)
    legal = {entry.name for entry in LEGAL}
    assert all(entry.legal for entry in LEGAL)
    assert all(not entry.legal and entry.twin in legal for entry in ILLEGAL)
    checks = {check.id for check in load_checks()}
    assert {entry.caught_by for entry in ILLEGAL} <= checks


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_an_entry_is_one_edit_of_the_base(entry: Entry) -> None:
    ast.parse(entry.script())
    assert (entry.script() == LEGAL[0].script()) == (entry.name == "honest")


def test_an_edit_must_match_once() -> None:
    assert Edit("b", "x").apply("abc") == "axc"
    for text in ("aac", "abb"):
        with pytest.raises(ValueError, match="not once"):
            Edit("b", "x").apply(text)


def test_the_documents_of_a_folder_leave_nothing_to_ask(tmp_path: Path) -> None:
    report = audit(write_folder(tmp_path / "record", LEGAL[0].script()), level=Level.DOCUMENTS)
    bad = [f for f in report.findings if f.state in (State.FAIL, State.WARN, State.ERROR)]
    assert bad == []
    ran = {reason.check for reason in report.verdict.reasons}
    assert ran == {"E1-floor", "C1-flip", "C2-mass", "C4-ledger", "N1-reached"}


@pytest.mark.parametrize(
    ("made", "wrong"),
    [
        (row(CHEAT, Call.NON_COMPLIANT, E1_floor=State.FAIL), False),
        (row(CHEAT, Call.NEEDS_REVIEW, E1_floor=State.WARN), False),
        (row(CHEAT, Call.NON_COMPLIANT, C1_flip=State.FAIL), True),
        (row(CHEAT, Call.COMPLIANT, E1_floor=State.PASS), True),
        (row(EXCUSED, Call.COMPLIANT, E1_floor=State.PASS), False),
        (row(EXCUSED, Call.NEEDS_REVIEW, E1_floor=State.UNVERIFIED), False),
        (row(HONEST, Call.COMPLIANT), False),
        (row(HONEST, Call.NEEDS_REVIEW), False),
        (row(HONEST, Call.NON_COMPLIANT, E1_floor=State.FAIL), True),
    ],
)
def test_what_fails_the_scorecard(made: Row, wrong: bool) -> None:
    assert (made.wrong is not None) == wrong


def test_the_table_counts_and_gives_reasons() -> None:
    text = matrix(
        [
            row(CHEAT, Call.NON_COMPLIANT, E1_floor=State.FAIL, A1_artifact=State.WARN),
            row(EXCUSED, Call.COMPLIANT, E1_floor=State.PASS),
            row(HONEST, Call.COMPLIANT, E1_floor=State.PASS),
        ]
    )
    assert "| cheat | cheats | **FAIL** |" in text
    assert "A1-artifact" in text.splitlines()[0]
    assert "Illegal: 1 of 2 NON_COMPLIANT, 0 NEEDS_REVIEW, 1 COMPLIANT. Legal: 1 of 1 COMPLIANT" in text
    assert "- `excused`: it is off here." in text


def test_writing_keeps_what_is_around_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_between_markers(page, "new")
    assert page.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert between(page, MARKER) == "new"
    page.write_text("no markers")
    with pytest.raises(ValueError, match="has no"):
        write_between_markers(page, "new")


def test_an_unknown_name_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--only", "nobody"])
    assert stop.value.code == 2
    assert "there are:" in capsys.readouterr().err
