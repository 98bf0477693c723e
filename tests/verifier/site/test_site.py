"""`pgolf-verify site`: the pages, the data behind them, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.verifier.report.test_html import EVIL, Page
from tests.verifier.site.batches import field, write_batch
from verifier.cli import app


def run(*args: object) -> Result:
    return CliRunner().invoke(app, ["site", *map(str, args)], prog_name="pgolf-verify")


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    return write_batch(tmp_path / "batch")


@pytest.fixture
def built(batch: Path, tmp_path: Path) -> Path:
    result = run(batch, "--out", tmp_path / "site", "-q")
    assert result.exit_code == 0, result.output
    return tmp_path / "site"


def test_every_report_has_a_page_and_every_page_a_row_and_a_way_back(built: Path) -> None:
    home = Page((built / "index.html").read_text())
    pages = {f"reports/{path.name}" for path in (built / "reports").iterdir()}
    assert pages == {f"reports/{name}.html" for name in field()}
    assert pages <= set(home.values("href"))
    for page in pages:
        assert "../index.html" in Page((built / page).read_text()).values("href")
    assert [name for name in home.values("href") if ".html" in name and not (built / name).exists()] == []


def test_the_table_says_verdict_claim_rule_evidence_seeds_bytes_and_times(built: Path) -> None:
    whole = (built / "index.html").read_text()
    text = whole[whole.index('id="submissions"') :]
    row = text[text.index("#549 ") :].split("</tr>")[0]
    for cell in ("1.1194", "COMPLIANT", "probed", "15,977,386", "600.1", "409.8", "2026-03-23", "A. Author"):
        assert cell in row
    row = text[text.index("#1430 ") :].split("</tr>")[0]
    assert "NON-COMPLIANT" in row
    assert "<td>C1</td>" in row
    assert "#3000" not in row
    assert "NOT AUDITED" in text
    assert "1 held no submission" in whole


def test_compliant_rows_come_first_and_lower_claims_before_higher(built: Path) -> None:
    text = (built / "index.html").read_text()
    body = text[text.index("<tbody>", text.index('id="submissions"')) :]
    assert body.index("#1019 ") < body.index("#549 ") < body.index("#2000 ") < body.index("#1430 ")


def test_the_frontier_is_drawn_told_and_given_as_data(built: Path) -> None:
    lines = json.loads((built / "frontier.json").read_text())
    assert [step["pr"] for step in lines["compliant"]] == [549, 1019]
    assert [step["pr"] for step in lines["claimed"]] == [549, 1019, 1430]
    assert lines["compliant"][0]["day"] == "2026-03-23"
    home = Page((built / "index.html").read_text())
    assert home.tags["svg"] >= 1
    assert "Compliant: 2 steps, from 1.1194 on 2026-03-23 to 1.1147 on 2026-03-25 (#1019)." in home.text
    rows = json.loads((built / "submissions.json").read_text())
    assert {row["pr"] for row in rows} == {549, 1019, 1430, 2000, 2001, 3000}


def test_the_page_asks_for_nothing_and_lets_only_its_own_script_run(built: Path) -> None:
    home = Page((built / "index.html").read_text())
    assert home.values("src") == []
    assert home.tags["link"] == 0
    assert [value for value in home.values("href") if "//" in value] == []
    policy = next(value for value in home.values("content") if "default-src" in value)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


def test_what_a_submission_wrote_stays_text(built: Path) -> None:
    home = Page((built / "index.html").read_text())
    assert home.tags["script"] == 2
    assert [name for _, name, _ in home.attributes if name.startswith("on")] == []
    assert "\u202e" not in home.text
    assert EVIL.split("\u202e")[0] in home.text


def test_an_older_site_is_replaced_and_nothing_is_left_beside_it(batch: Path, built: Path) -> None:
    (built / "reports" / "old.html").write_text("old")
    assert run(batch, "--out", built).exit_code == 0
    assert not (built / "reports" / "old.html").exists()
    assert sorted(path.name for path in built.parent.iterdir()) == ["batch", "site"]


def test_without_a_claim_there_is_no_frontier_and_the_table_is_whole(tmp_path: Path) -> None:
    write_batch(tmp_path / "batch", {"2000-d": field()["2000-d"]})
    assert run(tmp_path / "batch" / "index.jsonl", "--out", tmp_path / "site").exit_code == 0
    text = (tmp_path / "site" / "index.html").read_text()
    assert "<svg" not in text
    assert "Nothing was run at this level" not in text


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2
    for word in words:
        assert word in result.stderr.replace("\n", " ")


def test_a_missing_index_and_an_empty_one_are_said(tmp_path: Path) -> None:
    refused(run(tmp_path / "nowhere", "--out", tmp_path / "site"), "there is no", "pgolf-verify batch")
    (tmp_path / "index.jsonl").write_text("")
    refused(run(tmp_path, "--out", tmp_path / "site"), "holds no submission")
    (tmp_path / "index.jsonl").write_text("{}\n")
    refused(run(tmp_path, "--out", tmp_path / "site"), "index.jsonl:1 is not a line of an index")


def test_reports_that_are_gone_are_named_and_nothing_is_written(batch: Path, tmp_path: Path) -> None:
    (batch / "reports" / "549-a.json").unlink()
    refused(
        run(batch, "--out", tmp_path / "site"), "1 of 6 reports of the index are gone", "reports/549-a.json"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["batch"]


def test_a_report_that_is_none_leaves_no_half_a_site(batch: Path, tmp_path: Path) -> None:
    (batch / "reports" / "549-a.json").write_text("{}")
    refused(run(batch, "--out", tmp_path / "site"), "549-a.json is not a report")
    assert [path.name for path in tmp_path.iterdir()] == ["batch"]


def test_a_folder_that_is_no_site_is_left_alone(batch: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "thesis.txt").write_text("mine")
    refused(run(batch, "--out", own), "is there, and is no site")
    assert (own / "thesis.txt").read_text() == "mine"


def test_a_line_cannot_name_a_file_outside_its_batch(batch: Path, tmp_path: Path) -> None:
    index = batch / "index.jsonl"
    index.write_text(index.read_text().replace("reports/549-a.json", "reports/../../x.json"))
    refused(run(batch, "--out", tmp_path / "site"), "is no place of a report")
