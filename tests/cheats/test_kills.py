"""No check without a kill: each has a mutant, or a line that says where else it is proven."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cheats import predictors
from tests.cheats.mutants import ILLEGAL, LEGAL
from tests.cheats.reading import WRITTEN, Read, Written, read, table
from verifier.checks import load_checks
from verifier.finding import State

ROOT = Path(__file__).parents[2]
ELSEWHERE = {
    "N0-null": "tests/verifier/checks/test_probes.py",  # a script whose runs differ breaks no rule by that
    "N1-reached": "tests/verifier/checks/test_probes.py",  # nor does one that does not reach its number
    "H1-harness": "tests/verifier/checks/test_harness.py",  # the red team makes it speak on whole scripts
}
"""Checks that no mutant is for: what they speak of is missing evidence, and these tests make them speak."""


def test_every_check_has_a_kill_or_a_reason() -> None:
    ids = {check.id for check in load_checks()}
    killing = {
        *(entry.caught_by for entry in (*ILLEGAL, *predictors.ENTRIES) if entry.caught_by is not None),
        *(written.caught_by for written in WRITTEN),
    }
    assert killing <= ids
    assert ids - killing == set(ELSEWHERE)
    for id, path in ELSEWHERE.items():
        assert f'"{id}"' in (ROOT / path).read_text(encoding="utf-8")


def test_a_check_that_only_survivors_name_has_no_kill() -> None:
    """A mutant that is not found proves nothing of the check that should have found it."""
    surviving = {entry.caught_by for entry in ILLEGAL if entry.survives is not None}
    killing = {entry.caught_by for entry in ILLEGAL if entry.survives is None}
    assert surviving - killing == {"C3-context"}  # nobody ruled on it, so it says UNRULED and never FAIL


def test_names_are_unique_and_none_is_legal() -> None:
    names = [written.name for written in WRITTEN]
    assert len(set(names)) == len(names)
    assert not set(names) & {entry.name for entry in LEGAL}


@pytest.mark.parametrize("written", WRITTEN, ids=lambda written: written.name)
def test_a_forged_folder_is_read_by_its_check(written: Written, tmp_path: Path) -> None:
    row = read(written, tmp_path / "record")
    assert row.wrong is None, row.states


def test_the_table_shows_what_was_said() -> None:
    written = Written("cheat", "cheats", lambda folder: folder, "A1-artifact", State.FAIL, "#1")
    row = Read(written, {"B2-claim": State.WARN, "A1-artifact": State.FAIL})
    assert table([row]).splitlines()[-1] == "| cheat | cheats | A1-artifact **FAIL**, B2-claim WARN |"
    assert row.wrong is None
    assert "said nothing" in (Read(written, {}).wrong or "")
