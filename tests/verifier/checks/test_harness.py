"""H1 on records made by hand."""

from __future__ import annotations

from tests.verifier.checks.builders import named, script, submission
from tests.verifier.checks.test_probes import DRAWN, LOSSES, audit, outcomes, states
from tests.verifier.probe.builders import TapeBuilder, record, run, scored
from verifier.checks import run_checks
from verifier.evidence import Evidence
from verifier.finding import State
from verifier.verdict import Call, decide


def test_a_script_that_looks_for_its_audit_is_a_review_with_the_line() -> None:
    tape = scored(DRAWN, LOSSES)
    tape.reach("the frames of its callers")
    tape.reach("the frames of its callers")
    (found,) = outcomes(
        "H1-harness", record(run("uniform", DRAWN, scored(DRAWN, LOSSES)), run("flip 1", DRAWN, tape))
    )
    assert (found.state, found.evidence["asked"]) == (State.WARN, ["the frames of its callers"])
    assert [where.line for where in found.where] == [45]


def test_one_that_looked_and_then_printed_nothing_is_told_too() -> None:
    tape = TapeBuilder()
    tape.reach("all live objects")
    assert states("H1-harness", record(run("uniform", DRAWN, tape, status="raised"))) == [State.WARN]


def test_one_that_does_not_look_passes() -> None:
    assert states("H1-harness", audit()) == [State.PASS]


def test_its_warning_alone_is_a_reason_for_review() -> None:
    tape = scored(DRAWN, LOSSES)
    tape.reach("all live objects")
    evidence = Evidence(submission(shipped=script()), record(run("uniform", DRAWN, tape)))
    findings = run_checks(evidence, [named("H1-harness")])
    verdict = decide(findings)
    assert verdict.call is Call.NEEDS_REVIEW
    assert "H1-harness" in {reason.check for reason in verdict.reasons}
