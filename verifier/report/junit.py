"""A batch as JUnit XML: a suite for each submission, a test case for each check, for CI that shows test results.

A FAIL is a failure and an ERROR an error. What is missing or does not apply is skipped, and a WARN or UNRULED
passes with its state as output: it is for a reader, not for a gate. A submission that could not be audited is
an error; one that holds nothing to audit is skipped.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from verifier.batch.line import Line
from verifier.finding import State
from verifier.report.wording import clean

SKIPPED = (State.UNVERIFIED, State.NOT_APPLICABLE)
TOLD = (State.WARN, State.UNRULED)
AUDIT_CASE = "audit"
"""The one test case of a submission that has no report."""


def render_junit(lines: Sequence[Line]) -> str:
    """As XML text with a final newline. No time stamps: the same index gives the same bytes."""
    root = ET.Element("testsuites", {"name": "pgolf-verify"})
    for line in lines:
        root.append(_suite(line))
    _count(root, sum(line.seconds for line in lines))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(line: Line) -> ET.Element:
    suite = ET.Element("testsuite", {"name": clean(line.name)})
    properties = ET.SubElement(suite, "properties")
    for name in (
        "verdict",
        "grade",
        "submission",
        "pr",
        "sha",
        "claimed_bpb",
        "rule_edition",
        "tool",
        "report",
    ):
        value = getattr(line, name)
        if value not in (None, ""):
            ET.SubElement(properties, "property", {"name": name, "value": clean(str(value))})
    if line.status == "audited":
        for check, state in sorted(line.states.items()):
            _case(suite, line, check, state)
    else:
        case = _named(suite, line, AUDIT_CASE)
        kind = "skipped" if line.status == "nothing" else "error"
        _because(case, kind, line.status, line.reason)
    _count(suite, line.seconds)
    return suite


def _case(suite: ET.Element, line: Line, check: str, state: str) -> None:
    case = _named(suite, line, check)
    if state == State.FAIL:
        for failed in [each for each in line.failed if each.check == check][:1]:
            _because(case, "failure", failed.grade, failed.message)
    elif state == State.ERROR:
        _because(case, "error", state, "the check raised: the report has its traceback")
    elif state in SKIPPED:
        ET.SubElement(case, "skipped", {"message": clean(state)})
    elif state in TOLD:
        ET.SubElement(case, "system-out").text = f"{clean(state)}: see {clean(line.report or 'the report')}"


def _named(suite: ET.Element, line: Line, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", {"classname": clean(line.name), "name": clean(name)})


def _because(case: ET.Element, kind: str, type: str, why: str) -> None:
    given = {"message": clean(why)} if kind == "skipped" else {"type": clean(type), "message": clean(why)}
    ET.SubElement(case, kind, given)


def _count(element: ET.Element, seconds: float) -> None:
    """The attributes by which readers of the format sum up."""
    element.set("tests", str(len(list(element.iter("testcase")))))
    for name, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(len(list(element.iter(kind)))))
    element.set("time", f"{seconds:.3f}")
