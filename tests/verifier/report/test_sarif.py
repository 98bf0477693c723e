"""SARIF: valid by the official schema, on the lines that the findings name, the same from run to run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verifier.report import samples
from verifier.finding import State, Where
from verifier.report.model import Report
from verifier.report.sarif import FINGERPRINT, render_sarif
from verifier.submission import Origin

OFFICIAL = json.loads(
    (Path(__file__).parent / "schemas" / "sarif-schema-2.1.0.json").read_text(encoding="utf-8")
)
VALIDATOR = jsonschema.Draft4Validator(OFFICIAL, format_checker=jsonschema.FormatChecker())


def run_of(report: Report, pages: dict[str, str] | None = None) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(render_sarif(report, pages))
    VALIDATOR.validate(document)
    (run,) = document["runs"]
    assert isinstance(run, dict)
    return run


@pytest.mark.parametrize("name", samples.ALL)
def test_every_report_is_valid_by_the_official_schema(name: str) -> None:
    run_of(samples.ALL[name](), {"E1-floor": "One.\n\nTwo [x](y) {0}."})


def test_a_result_for_each_fail_warn_and_unruled_and_no_other() -> None:
    run = run_of(samples.cheat())
    assert [(each["ruleId"], each["level"]) for each in run["results"]] == [
        ("C1-flip", "error"),
        ("E1-floor", "error"),
        ("S1-slot", "warning"),
    ]
    assert [each["level"] for each in run_of(samples.documents())["results"]] == ["note"]
    assert run_of(samples.honest())["results"] == []


def test_a_result_points_at_its_rule_its_line_and_the_contest_rules() -> None:
    run = run_of(samples.cheat(), {"C1-flip": "Redraw a block.\n\nThen compare."})
    flip = run["results"][0]
    rule = run["tool"]["driver"]["rules"][flip["ruleIndex"]]
    assert rule["id"] == "C1-flip"
    assert rule["fullDescription"]["text"] == "Redraw a block."
    assert "Legal contrast: score a chunk first" in rule["help"]["text"]
    place = flip["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "submissions/scored_slot/train_gpt.py"
    assert place["region"]["startLine"] == 1744
    assert flip["relatedLocations"][0]["physicalLocation"]["region"]["startLine"] == 1752
    (taxonomy,) = run["taxonomies"]
    assert [taxonomy["taxa"][each["index"]]["id"] for each in flip["taxa"]] == ["C1", "C3"]


def test_the_run_carries_verdict_and_bits_per_byte() -> None:
    properties = run_of(samples.cheat())["properties"]
    assert properties["verdict"] == "NON_COMPLIANT"
    assert properties["claimed_bpb"] == 0.39642
    assert properties["logged_bpb"] == [0.39806, 0.39443, 0.39678]


def test_a_check_that_raised_is_a_notification_and_no_result() -> None:
    (invocation,) = run_of(samples.documents())["invocations"]
    assert invocation["executionSuccessful"] is False
    assert "KeyError" in invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_a_line_of_a_packed_script_is_named_and_not_pointed_at() -> None:
    packed = replace(samples.cheat().submission, wrapper="lzma+b85")
    flip = run_of(samples.cheat_with(submission=packed))["results"][0]
    assert flip["locations"][0]["physicalLocation"]["region"] == {"startLine": 1}
    assert "line 1744, 1752 of the opened text" in flip["message"]["text"]


def test_a_place_in_a_repository_counts_from_its_root() -> None:
    origin = Origin("mirror", 1430, "a" * 40, "records/x y", script="train/train_gpt.py")
    submission = replace(samples.cheat().submission, git=origin)
    place = run_of(samples.cheat_with(submission=submission))["results"][0]["locations"][0]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "train/train_gpt.py"
    other = samples.finding("X1-readme", "t", State.WARN, "m", Where("README.md"))
    place = run_of(samples.report(other, submission=submission))["results"][0]["locations"][0]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "records/x%20y/README.md"


def test_an_absolute_path_of_this_machine_is_not_told() -> None:
    submission = replace(samples.cheat().submission, path="/home/someone/scored_slot")
    assert "someone" not in json.dumps(run_of(samples.cheat_with(submission=submission))["results"])


def test_a_finding_without_a_place_points_at_the_script() -> None:
    nowhere = samples.finding("X1-any", "t", State.WARN, "m")
    place = run_of(samples.report(nowhere))["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].endswith("/train_gpt.py")


def fingerprints(*findings: Any) -> list[str]:
    results = run_of(samples.report(*findings))["results"]
    return [each["partialFingerprints"][FINGERPRINT] for each in results]


def test_a_fingerprint_outlives_other_numbers_and_lines_and_tells_twins_apart() -> None:
    moved = replace(
        samples.FLOOR_FAIL,
        message="another number",
        where=(replace(samples.FLOOR_FAIL.where[0], line=7),),
    )
    assert fingerprints(samples.FLOOR_FAIL) == fingerprints(moved)
    twins = fingerprints(samples.FLOOR_FAIL, moved)
    assert len(set(twins)) == 2
    assert fingerprints(samples.FLIP_FAIL) != fingerprints(samples.FLOOR_FAIL)


nasty = st.text(st.characters() | st.sampled_from("[](){}\\\u202e:%/ "), max_size=40)


@settings(max_examples=30)
@given(nasty)
def test_any_name_and_message_stays_valid_and_makes_no_link(text: str) -> None:
    finding = samples.finding("S1-any", text, State.FAIL, text, Where(text or "x", 3, text), evil=text)
    run = run_of(samples.report(finding), {"S1-any": text})
    message = run["results"][0]["message"]["text"]
    assert "](" not in message
    assert "{" not in message.replace("{{", "")
