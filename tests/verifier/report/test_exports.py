"""CSV and JUnit: readable by their own parsers, true to the index, and safe in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from verifier.batch.line import Failed, Line
from verifier.cli import app
from verifier.report.csv import render_csv
from verifier.report.junit import render_junit

CHEAT = Line(
    key="a1",
    name="1430-13acc85458",
    status="audited",
    verdict="NON_COMPLIANT",
    path="mirror",
    pr=1430,
    sha="13acc8545800" * 3,
    submission='Per-sample "SLOT", n-gram',
    grade="probed",
    seconds=171.25,
    claimed_bpb=0.39642,
    failed=(Failed("E1-floor", "probed", "26,764 bits under the floor"),),
    states={"C1-flip": "UNVERIFIED", "E1-floor": "FAIL", "S1-slot": "WARN", "D1-x": "NOT_APPLICABLE"},
    reached=True,
    reason="E1-floor: 26,764 bits under the floor",
    report="reports/1430.json",
)
HONEST = replace(
    CHEAT, key="b2", name="549", pr=549, verdict="COMPLIANT", grade="probed", failed=(), seconds=60.0,
    states={"C1-flip": "PASS", "E1-floor": "PASS", "Z1-x": "ERROR"}, reason="", reached=None,
)  # fmt: skip
EMPTY = Line("c3", "7", "nothing", "NEEDS_REVIEW", "mirror", pr=7, reason="it adds no folder")
KILLED = Line("d4", "8", "killed", "NEEDS_REVIEW", "mirror", pr=8, reason="ran over 400 s", seconds=400.0)
LINES = (CHEAT, HONEST, EMPTY, KILLED)


def rows(lines: tuple[Line, ...]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render_csv(lines), newline="")))


def test_a_row_for_each_submission_with_a_column_for_each_check() -> None:
    cheat, honest, empty, _ = rows(LINES)
    assert (cheat["pr"], cheat["verdict"], cheat["claimed_bpb"]) == ("1430", "NON_COMPLIANT", "0.39642")
    assert cheat["submission"] == 'Per-sample "SLOT", n-gram'
    assert (cheat["failed"], cheat["reached"], cheat["E1-floor"]) == ("E1-floor", "yes", "FAIL")
    assert (honest["E1-floor"], honest["S1-slot"], honest["reached"]) == ("PASS", "", "")
    assert (empty["status"], empty["reason"], empty["claimed_bpb"]) == ("nothing", "it adds no folder", "")


def test_a_table_of_nothing_is_its_header() -> None:
    assert render_csv(()).startswith("pr,sha,name,")
    assert render_csv(()).count("\n") == 1


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_name_that_is_a_formula_stays_text(text: str) -> None:
    (row,) = rows((replace(CHEAT, submission=text),))
    assert row["submission"].startswith("'")


def test_a_negative_number_stays_a_number() -> None:
    assert rows((replace(CHEAT, claimed_bpb=-0.5),))[0]["claimed_bpb"] == "-0.5"


def test_suites_count_what_their_checks_said() -> None:
    root = ET.fromstring(render_junit(LINES))
    counted = [
        (suite.get("name"), *(suite.get(name) for name in ("tests", "failures", "errors", "skipped")))
        for suite in root
    ]
    assert counted == [
        ("1430-13acc85458", "4", "1", "0", "2"),
        ("549", "3", "0", "1", "0"),
        ("7", "1", "0", "0", "1"),
        ("8", "1", "0", "1", "0"),
    ]
    assert (root.get("tests"), root.get("failures"), root.get("errors"), root.get("skipped")) == (
        "9",
        "1",
        "2",
        "3",
    )
    assert root.get("time") == "631.250"


def test_a_failure_says_what_was_found_and_a_warning_fails_nothing() -> None:
    suite = ET.fromstring(render_junit((CHEAT,)))[0]
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    failure = cases["E1-floor"].find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("probed", "26,764 bits under the floor")
    assert [child.tag for child in cases["S1-slot"]] == ["system-out"]
    verdict = suite.find("properties/property[@name='verdict']")
    assert verdict is not None
    assert verdict.get("value") == "NON_COMPLIANT"


nasty = st.text(st.characters() | st.sampled_from("<>&\"'\x00\x1b\u202e\ufffe,=\n\r"), max_size=30)


@settings(max_examples=50)
@given(nasty)
def test_any_text_stays_in_its_cell_and_its_element(text: str) -> None:
    line = replace(
        CHEAT, name=text, submission=text, reason=text, failed=(Failed("E1-floor", text, text),), report=text
    )
    (row,) = rows((line,))
    assert row["E1-floor"] == "FAIL"
    assert None not in row
    root = ET.fromstring(render_junit((line, replace(KILLED, reason=text))))
    assert len(list(root.iter("testcase"))) == 5


def write_index(folder: Path, *lines: Line) -> None:
    text = "".join(json.dumps(line.to_document()) + "\n" for line in lines)
    (folder / "index.jsonl").write_text(text, encoding="utf-8")


def test_the_last_line_of_a_submission_counts(tmp_path: Path) -> None:
    write_index(tmp_path, replace(CHEAT, status="failed", states={}), HONEST, CHEAT)
    shown = CliRunner().invoke(app, ["export", str(tmp_path), "--format", "csv"]).stdout
    assert shown == render_csv((CHEAT, HONEST))


def test_junit_goes_into_a_file(tmp_path: Path) -> None:
    write_index(tmp_path, *LINES)
    out = tmp_path / "results.xml"
    args = ["export", str(tmp_path / "index.jsonl"), "--format", "junit", "--out", str(out)]
    result = CliRunner().invoke(app, args)
    assert (result.exit_code, result.stdout) == (0, "")
    assert out.read_text(encoding="utf-8") == render_junit(LINES)


def test_an_index_that_is_not_there_is_said_plainly(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", str(tmp_path), "--format", "csv"])
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr
