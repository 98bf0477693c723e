"""The JSON report: valid against the shipped schema, never NaN, read back as it was written."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verifier.report import samples
from verifier.finding import State
from verifier.report.json import ReportError, load_schema, plain, read_report, render_json, to_document


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(load_schema())


@pytest.mark.parametrize("name", samples.ALL)
def test_reports_satisfy_the_schema(name: str) -> None:
    document = json.loads(render_json(samples.ALL[name]()))
    jsonschema.Draft202012Validator(load_schema()).validate(document)


@pytest.mark.parametrize("name", samples.ALL)
def test_read_back_and_written_again_is_the_same_text(name: str) -> None:
    text = render_json(samples.ALL[name]())
    assert render_json(read_report(text)) == text


def test_an_honest_report_reads_back_equal() -> None:
    report = samples.honest()
    assert read_report(render_json(report)) == report


def test_the_documented_shape() -> None:
    document = to_document(samples.cheat(), "out/r.json")
    assert list(document)[:4] == ["schema", "tool_version", "rule_edition", "submission"]
    assert document["verdict"] == "NON_COMPLIANT"
    assert document["exit_code"] == 1
    assert document["bpb"]["logged"] == [0.39806, 0.39443, 0.39678]
    floor = next(each for each in document["findings"] if each["check"] == "E1-floor")
    assert floor["evidence"]["gain_bits"] == 31844.0
    assert floor["replay"] == "pgolf-verify replay out/r.json --finding E1-floor"


def test_an_integer_that_python_would_not_print_becomes_text() -> None:
    assert plain(1 << 20_000) == hex(1 << 20_000)


@dataclass(frozen=True)
class Place:
    file: Path
    positions: frozenset[int]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        (np.float32(0.5), 0.5),
        (np.arange(3), [0, 1, 2]),
        (np.float64("nan"), "NaN"),
        (State.FAIL, "FAIL"),
        ((1, (2.5, None)), [1, [2.5, None]]),
        ({3: True}, {"3": True}),
        (Place(Path("a"), frozenset({2, 1})), {"file": repr(Path("a")), "positions": [1, 2]}),
        ("\ud800", "?"),
        (b"\x00", "b'\\x00'"),
    ],
)
def test_evidence_of_any_type_becomes_json(value: object, expected: object) -> None:
    assert plain(value) == expected


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner)
    ),
    max_leaves=8,
)


@settings(max_examples=40)
@given(st.dictionaries(st.text(), values, max_size=4), st.text())
def test_any_evidence_writes_valid_json_that_reads_back_the_same(
    evidence: dict[str, object], text: str
) -> None:
    strange = replace(samples.FLOOR_FAIL, evidence=evidence, message=text, try_next=text)
    written = render_json(samples.report(strange))
    written.encode("utf-8")
    again = read_report(written)
    assert again.findings[0].state is State.FAIL
    assert render_json(again) == written


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "not JSON"),
        ("[]", "expected a report"),
        pytest.param("9" * 5000, "not JSON that can be read", id="digits"),
        ('{"schema": "sarif"}', "found 'sarif'"),
        ('{"schema": NaN}', "NaN is not a JSON number"),
        pytest.param("[" * 100_000, "nested deeper", id="nested"),
        ('{"schema": "pgolf-verify/1"}', "$: 'tool_version' is a required property"),
    ],
)
def test_what_is_not_a_report_is_refused_in_words(text: str, expected: str) -> None:
    with pytest.raises(ReportError) as caught:
        read_report(text)
    assert expected in str(caught.value)


def test_a_changed_state_is_named_by_its_place() -> None:
    document = to_document(samples.cheat())
    document["findings"][0]["state"] = "FINE"
    with pytest.raises(ReportError, match=r"\$\.findings\[0\]\.state: 'FINE' is not one of"):
        read_report(json.dumps(document))
