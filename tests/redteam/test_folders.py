"""Folders that attack their reader: the audit ends, says what it met, and runs and follows none of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.redteam.attack import Attack
from tests.redteam.folders import ATTACKS, BAD_NAME
from tests.redteam.host import live_in_comment, live_in_page
from verifier.audit import Level, audit
from verifier.finding import State
from verifier.report.html import render_html
from verifier.report.json import render_json
from verifier.report.markdown import render_markdown
from verifier.report.store import check_pages
from verifier.verdict import Call


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_hostile_folder_ends_in_a_report_without_an_error(attack: Attack, tmp_path: Path) -> None:
    attack.write(tmp_path / "submission")
    report = audit(tmp_path / "submission", level=Level.STATIC)
    assert [each.message for each in report.findings if each.state is State.ERROR] == []
    assert report.verdict.call is not Call.COMPLIANT
    text = render_json(report, "report.json")
    assert "\x1b" not in json.dumps(json.loads(text), ensure_ascii=False)


def test_markup_in_a_claim_is_text_in_every_report(tmp_path: Path) -> None:
    attack = next(each for each in ATTACKS if each.name == "claimed-names")
    attack.write(tmp_path / "submission")
    report = audit(tmp_path / "submission", level=Level.STATIC)
    assert report.submission.name == BAD_NAME
    assert live_in_page(render_html(report, check_pages(), "report.json")) == []
    assert live_in_comment(render_markdown(report)) == []
