"""The pages of the checks are up to date, and what they say of their examples is what the checks say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.examples import PROBES, ROOT, Example, examples_of, main
from tests.docs.pages import FOLDER, all_pages
from verifier.checks import Check, load_checks
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, State
from verifier.intake import load_submission

READ = [check for check in load_checks() if check.grade in (Grade.LOG, Grade.STATIC)]
"""Checks that need no run, so that all of their examples can be tried here."""
CASES = [(check, kind, example) for check in READ for kind, example in examples_of(check).items()]


def test_every_page_is_written_anew_from_its_docstring() -> None:
    """If this fails: `python -m tests.docs.pages --write`."""
    assert {path.name: path.read_text() for path in FOLDER.glob("*.md")} == all_pages()


@pytest.mark.parametrize(
    ("check", "kind", "example"), CASES, ids=[f"{check.id} {kind}" for check, kind, _ in CASES]
)
def test_a_check_says_of_its_example_what_its_page_says(
    check: Check, kind: str, example: Example, tmp_path: Path
) -> None:
    evidence = Evidence(load_submission(example.write(tmp_path / "example")))
    result = check.function(evidence)
    states = {each.state for each in ((result,) if isinstance(result, Outcome) else result)}
    assert example.state in states
    if kind == "illegal":
        assert example.state in (State.FAIL, State.WARN, State.UNRULED)
    else:
        assert not states & {State.FAIL, State.WARN, State.ERROR}


@pytest.mark.parametrize("check", load_checks(), ids=lambda check: check.id)
def test_what_can_be_broken_has_an_example_that_breaks_it(check: Check) -> None:
    # A proof that is absent, and two that guard the others.
    without = {"C0-decode", "N0-null", "N1-reached"}
    assert ("illegal" in examples_of(check)) is (check.id not in without)


def test_the_command_writes_a_folder_and_never_over_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "example"
    assert main(["A1-artifact", "illegal", str(folder)]) == 0
    assert "16100000 bytes" in (folder / "train_seed42.log").read_text()
    with pytest.raises(SystemExit, match="2"):
        main(["A1-artifact", "legal", str(folder)])
    assert "is there already" in capsys.readouterr().err


def test_the_kill_matrix_says_of_the_illegal_entries_what_the_pages_say() -> None:
    """The matrix is written from real audits, which take too long for here."""
    readme = (ROOT / "README.md").read_text().partition("<!-- kill matrix -->")[2].partition("<!-- /kill")[0]
    rows = [
        [cell.strip(" *") for cell in line.split("|")[1:-1]] for line in readme.splitlines() if "|" in line
    ]
    table = {row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[2:] if len(row) == len(rows[0])}
    said = {check: examples_of(check)["illegal"].state for check in load_checks() if check.id in PROBES}
    known = {
        check.id: (table[PROBES[check.id][0]].get(check.id), str(state))
        for check, state in said.items()
        if PROBES[check.id][0] in table
    }
    assert len(known) >= 8
    assert {id: was for id, (was, _) in known.items()} == {id: now for id, (_, now) in known.items()}
