"""A few entries of the corpus end to end, as `make scorecard` audits all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cheats.mutants import ENTRIES
from tests.cheats.scorecard import measure
from verifier.finding import State
from verifier.verdict import Call

pytestmark = pytest.mark.slow
BY_NAME = {entry.name: entry for entry in ENTRIES}


@pytest.mark.parametrize("name", ["honest", "sorted-documents"])
def test_legal_entries_are_compliant(name: str, tmp_path: Path) -> None:
    row = measure(BY_NAME[name], tmp_path / name)
    assert (row.call, row.messages) == (Call.COMPLIANT, ())


@pytest.mark.parametrize("name", ["mask-off-by-one", "val-calibration"])
def test_illegal_entries_are_caught_by_their_check(name: str, tmp_path: Path) -> None:
    row = measure(BY_NAME[name], tmp_path / name)
    assert row.call is Call.NON_COMPLIANT
    assert row.states[BY_NAME[name].caught_by or ""] is State.FAIL, row.messages
