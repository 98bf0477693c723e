"""The JSON form of a report: stable keys in a stable order, no NaN, described by `schema.json`.

`snippets`, `seed_runs`, `techniques` and `series` are left out where there is nothing to put in; the series
are one line, being for programs.

`read_report` reads it back and refuses what the schema refuses: a report is input like any other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from enum import Enum
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator

from verifier.finding import Finding, Grade, State, Where
from verifier.report.model import (
    SCHEMA,
    Bpb,
    FileDigest,
    FlipSeries,
    GainSeries,
    LoggedBpb,
    Measured,
    Override,
    Platform,
    Report,
    RuleText,
    Run,
    RunInfo,
    Series,
    Snippet,
    SubmissionInfo,
    Substitution,
    Timeline,
)
from verifier.report.wording import SAVED_REPORT, replay_command
from verifier.seedrun import SeedRun
from verifier.submission import Origin
from verifier.verdict import Call, Reason, Verdict

LONGEST_INTEGER_BITS = 4096
"""Python refuses to read or write integers of more than 4,300 decimal digits; no measurement has them."""


class ReportError(Exception):
    """The text is not a report: says what was found, where, and what was expected."""


def load_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) that every report satisfies."""
    text = resources.files("verifier.report").joinpath("schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def render_json(report: Report, saved_as: str = SAVED_REPORT) -> str:
    """The report as JSON text with a final newline. `saved_as` is the file that replay lines name."""
    document = to_document(report, saved_as)
    series = document.pop("series", None)
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2)
    if series is not None:
        line = json.dumps(series, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text = text.removesuffix("\n}") + f',\n  "series": {line}\n}}'
    return text + "\n"


def to_document(report: Report, saved_as: str = SAVED_REPORT) -> dict[str, Any]:
    """The report as plain dicts, lists, strings, finite numbers and None."""
    verdict = report.verdict
    document = {
        "schema": SCHEMA,
        "tool_version": report.tool_version,
        "rule_edition": report.rule_edition,
        "submission": asdict(report.submission),
        "verdict": verdict.call,
        "exit_code": verdict.exit_code,
        "verdict_grade": verdict.grade,
        "reasons": [asdict(reason) for reason in verdict.reasons],
        "bpb": {
            "claimed": _finite(report.bpb.claimed),
            "claimed_key": report.bpb.claimed_key,
            "logged": [each.val_bpb for each in report.bpb.logged if math.isfinite(each.val_bpb)],
            "logged_runs": [asdict(each) for each in report.bpb.logged if math.isfinite(each.val_bpb)],
            "measured": _measured(report.bpb.measured),
        },
        "findings": [_finding(finding, replay_command(finding, saved_as)) for finding in report.findings],
        "run": {
            "level": report.run.level,
            "device": report.run.device,
            "seeds": list(report.run.seeds),
            "not_run": report.run.not_run,
            "environment": [asdict(each) for each in report.run.environment],
            "substitutions": [asdict(each) for each in report.run.substitutions],
            "isolation": dict(report.run.isolation),
            "runs": [_run(each) for each in report.run.runs],
        },
        "rules": [asdict(rule) for rule in report.rules],
        "legal": dict(report.legal),
        "files": [asdict(each) for each in report.files],
        "platform": asdict(report.platform),
        "seconds": round(report.seconds, 3),
    }
    if report.snippets:
        document["snippets"] = [asdict(each) for each in report.snippets]
    if report.seed_runs:
        document["seed_runs"] = [asdict(each) for each in report.seed_runs]
    if report.techniques:
        document["techniques"] = list(report.techniques)
    if report.series is not None:
        document["series"] = asdict(report.series)
    plain_document: dict[str, Any] = plain(document)
    return plain_document


def plain(value: object) -> Any:
    """Any evidence value as JSON. Numbers that are not finite become words, so that none passes for one.

    A value of a type that JSON lacks becomes its `repr`: evidence of one check must not cost the report.
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= LONGEST_INTEGER_BITS else hex(value)
    if isinstance(value, float):
        return (
            value
            if math.isfinite(value)
            else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
        )
    if isinstance(value, str):
        # A lone surrogate (an undecodable file name) cannot be written as UTF-8.
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=repr)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if hasattr(value, "tolist"):  # NumPy and torch scalars and arrays, without importing either
        return plain(value.tolist())
    return plain(repr(value))


def read_report(text: str) -> Report:
    """Read a report back; `ReportError` names the first place that is not as the schema says."""
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ReportError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except ValueError as error:
        raise ReportError(f"not JSON that can be read: {error}") from None
    except RecursionError:
        raise ReportError("not a report: nested deeper than any report is") from None
    found = document.get("schema") if isinstance(document, dict) else None
    if found != SCHEMA:
        raise ReportError(f'expected a report with "schema": "{SCHEMA}", found {found!r}')
    errors = sorted(_validator().iter_errors(document), key=lambda error: error.json_path)
    if errors:
        raise ReportError(f"{errors[0].json_path}: {errors[0].message}")
    return _from_document(document)


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(load_schema())


def _no_constant(name: str) -> float:
    raise ReportError(f"{name} is not a JSON number")


def _from_document(document: Mapping[str, Any]) -> Report:
    bpb, run = document["bpb"], document["run"]
    findings = tuple(_read_finding(each) for each in document["findings"])
    return Report(
        tool_version=document["tool_version"],
        rule_edition=document["rule_edition"],
        submission=_read_submission(document["submission"]),
        verdict=_read_verdict(document),
        bpb=Bpb(
            claimed=bpb["claimed"],
            claimed_key=bpb["claimed_key"],
            logged=tuple(LoggedBpb(**each) for each in bpb["logged_runs"]),
            measured=None if bpb["measured"] is None else Measured(**bpb["measured"]),
        ),
        findings=findings,
        run=RunInfo(
            level=run["level"],
            device=run.get("device", "cpu"),
            seeds=tuple(run["seeds"]),
            not_run=run["not_run"],
            environment=tuple(Override(**each) for each in run["environment"]),
            substitutions=tuple(Substitution(**each) for each in run["substitutions"]),
            isolation=run["isolation"],
            runs=tuple(Run(**each) for each in run["runs"]),
        ),
        platform=Platform(**document["platform"]),
        seconds=document["seconds"],
        rules=tuple(RuleText(**{**each, "sources": tuple(each["sources"])}) for each in document["rules"]),
        legal=document["legal"],
        files=tuple(FileDigest(**each) for each in document["files"]),
        snippets=tuple(
            Snippet(each["file"], each["line"], tuple(each["lines"])) for each in document.get("snippets", ())
        ),
        series=_read_series(document["series"]) if "series" in document else None,
        seed_runs=tuple(SeedRun(**each) for each in document.get("seed_runs", ())),
        techniques=tuple(document.get("techniques", ())),
    )


def _read_series(each: Mapping[str, Any]) -> Series:
    timeline = each["timeline"]
    return Series(
        flips=tuple(FlipSeries(**_tuples(flip)) for flip in each["flips"]),
        gains=tuple(GainSeries(**_tuples(gain)) for gain in each["gains"]),
        timeline=None if timeline is None else Timeline(**_tuples(timeline)),
    )


def _tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Lists as the tuples that the model has, one level inside another."""
    return {name: _tuple(value) for name, value in fields.items()}


def _tuple(value: Any) -> Any:
    return tuple(_tuple(each) for each in value) if isinstance(value, list) else value


def _read_submission(each: Mapping[str, Any]) -> SubmissionInfo:
    git = each.get("git")
    lists = ("others", "missing")
    origin = None if git is None else Origin(**{**git, **{name: tuple(git[name]) for name in lists}})
    return SubmissionInfo(**{**each, "git": origin})


def _read_verdict(document: Mapping[str, Any]) -> Verdict:
    grade = document["verdict_grade"]
    return Verdict(
        Call(document["verdict"]),
        tuple(Reason(each["check"], State(each["state"]), each["text"]) for each in document["reasons"]),
        None if grade is None else Grade(grade),
    )


def _read_finding(each: Mapping[str, Any]) -> Finding:
    return Finding(
        check=each["check"],
        title=each["title"],
        rules=tuple(each["rules"]),
        state=State(each["state"]),
        grade=Grade(each["grade"]),
        message=each["message"],
        where=tuple(Where(**where) for where in each["where"]),
        evidence=each["evidence"],
        try_next=each["try_next"],
        replayable=each["replay"] is not None,
    )


def _finding(finding: Finding, replay: str | None) -> dict[str, Any]:
    return {
        "check": finding.check,
        "title": finding.title,
        "rules": list(finding.rules),
        "state": finding.state,
        "grade": finding.grade,
        "message": finding.message,
        "where": [asdict(where) for where in finding.where],
        "evidence": dict(finding.evidence),
        "replay": replay,
        "try_next": finding.try_next,
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "seconds": round(run.seconds, 3),
        "status": run.status,
        "reason": run.reason,
        "reported": {label: _finite(value) for label, value in run.reported.items()},
    }


def _measured(measured: Measured | None) -> dict[str, Any] | None:
    if measured is None:
        return None
    return {
        "scale": measured.scale,
        "label": measured.label,
        "val_loss_nats": _finite(measured.val_loss_nats),
        "val_bpb": _finite(measured.val_bpb),
    }


def _finite(value: float | None) -> float | None:
    """A typed number field holds a finite number or null; the finding has the words for why."""
    return value if value is not None and math.isfinite(value) else None
