"""The rule edition reads, and checks and rules name each other."""

from __future__ import annotations

import re

import pytest

from verifier.checks import load_checks
from verifier.rules import Status, UnknownEdition, VerdictClass, editions, load_edition

EDITION = load_edition()
DOCUMENT_CHECKS = {"A1", "B1", "B2", "D1", "D2", "L1", "P1", "S1", "T1", "T2"}


def test_the_newest_edition_is_the_default():
    assert EDITION.name == editions()[-1]
    assert load_edition(editions()[-1]) == EDITION


def test_an_unknown_edition_lists_those_there_are():
    with pytest.raises(UnknownEdition, match="2026-05-02"):
        load_edition("1999-01-01")


def test_ids_are_unique_and_ordered_conditions_first():
    ids = [rule.id for rule in EDITION.rules]
    assert len(set(ids)) == len(ids)
    assert ids[:4] == ["C1", "C2", "C3", "C4"]
    assert ids[4:] == sorted(ids[4:])


@pytest.mark.parametrize("rule", EDITION.rules, ids=lambda rule: rule.id)
def test_a_rule_is_short_sourced_and_consistent(rule):
    assert rule.sources
    assert all(re.fullmatch(r"#\d+", source) for source in rule.sources)
    assert 1 <= len(re.findall(r"[.:](?:\s|$)", rule.text)) <= 4
    assert rule.unruled == (Status.OPEN in rule.status) == (rule.verdict is VerdictClass.OPEN)
    assert rule.date is None or re.fullmatch(r"2026-\d\d-\d\d", rule.date)


@pytest.mark.parametrize("check", load_checks(), ids=lambda check: check.id)
def test_every_rule_that_a_check_bears_on_exists(check):
    assert [id for id in check.rules if id not in EDITION] == []


@pytest.mark.parametrize(
    "check",
    [c for c in load_checks() if c.id.partition("-")[0] in DOCUMENT_CHECKS],
    ids=lambda check: check.id,
)
def test_a_document_check_s_page_is_complete(check):
    for part in ("Cannot see:", "Ruling:", "Violation:"):
        assert part in check.page, part
    assert "Legal" in check.page
    assert "contrast:" in check.page
    assert all(check.id in EDITION.rule(id).checks for id in check.rules if id != "R-065a")
