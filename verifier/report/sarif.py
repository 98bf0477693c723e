"""The report as SARIF 2.1.0, for code scanning: one result for each finding that a reader must act on.

A FAIL is an `error`, a WARN a `warning`, an UNRULED behaviour a `note`. Each check is a rule of the tool, and
the contest's rules are a taxonomy that the results cite. A check that raised says so in the invocation.

Lines of a packed script are those of its opened text, which no viewer has: such a place points at the first
line of the shipped file and its message names the opened line.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0 with Errata 01; what GitHub shows of it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from verifier.finding import Finding, Grade, State, Where
from verifier.report.json import plain
from verifier.report.model import Report, RuleText
from verifier.report.wording import again_command, clean, replay_command

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {State.FAIL: "error", State.WARN: "warning", State.UNRULED: "note"}
PRECISION = {
    Grade.STATIC: "medium",
    Grade.LOG: "high",
    Grade.PROBED: "very-high",
    Grade.REPLAYED: "very-high",
    Grade.DECODED: "very-high",
}
"""How seldom a rule of this grade is wrong, in the words by which code scanning sorts."""
FINGERPRINT = "pgolfVerifyFinding/v1"
TAXONOMY = "parameter-golf rules"
SHORT_CHARS, FULL_CHARS = 1000, 1000
"""What code scanning shows of a rule's descriptions at most."""
ROOT = "%SRCROOT%"


def render_sarif(report: Report, pages: Mapping[str, str] | None = None) -> str:
    """The report as SARIF text with a final newline. `pages` has the page of each check by its id."""
    return (
        json.dumps(sarif_document(report, pages or {}), ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    )


def merged_sarif(reports: Sequence[Report], pages: Mapping[str, str]) -> dict[str, Any]:
    """One document with a run for each report. Their categories differ by folder, so none replaces another."""
    first, *others = (sarif_document(report, pages) for report in reports)
    return {**first, "runs": [*first["runs"], *(run for other in others for run in other["runs"])]}


def sarif_document(report: Report, pages: Mapping[str, str]) -> dict[str, Any]:
    """As plain dicts, lists, strings and numbers."""
    findings = report.in_state(*LEVELS)
    checks = sorted({each.check for each in findings})
    run = {
        "tool": {"driver": _driver(report, findings, checks, pages)},
        "automationDetails": {
            "id": f"pgolf-verify/{_place_of_folder(report) or clean(report.submission.name)}/"
        },
        "invocations": [_invocation(report)],
        "artifacts": _artifacts(report, findings),
        "taxonomies": [_taxonomy(report)],
        "results": _results(report, findings, checks),
        "columnKind": "unicodeCodePoints",
        "properties": _properties(report),
    }
    document: dict[str, Any] = plain({"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [run]})
    return document


def _driver(
    report: Report, findings: tuple[Finding, ...], checks: list[str], pages: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "name": "pgolf-verify",
        "version": report.tool_version,
        "supportedTaxonomies": [{"name": TAXONOMY, "index": 0}],
        "rules": [
            _descriptor(report, [each for each in findings if each.check == check], pages.get(check, ""))
            for check in checks
        ],
    }


def _descriptor(report: Report, findings: list[Finding], page: str) -> dict[str, Any]:
    """The rule of one check, from its findings and its page."""
    first = findings[0]
    rules = [rule for rule in report.rules if any(rule.id in each.rules for each in findings)]
    legal = report.legal.get(first.check)
    full = _message(page.split("\n\n")[0] or first.title)
    texts = [page, *(f"Rule {rule.id}, {rule.title}: {rule.text}" for rule in rules)]
    if legal:
        texts.append(f"Legal contrast: {legal}")
    return {
        "id": first.check,
        "name": first.check,
        "shortDescription": {"text": _message(first.title)[:SHORT_CHARS]},
        "fullDescription": {"text": full[:FULL_CHARS]},
        "help": {"text": "\n\n".join(_message(text) for text in texts if text) or full},
        "defaultConfiguration": {"level": LEVELS[first.state]},
        "relationships": [
            {"target": {"id": rule.id, "toolComponent": {"name": TAXONOMY}}, "kinds": ["relevant"]}
            for rule in rules
        ],
        "properties": {
            "tags": ["parameter-golf", *(f"rule/{rule.id}" for rule in rules)],
            "precision": PRECISION[first.grade],
            "problem.severity": LEVELS[first.state].replace("note", "recommendation"),
        },
    }


def _taxonomy(report: Report) -> dict[str, Any]:
    return {
        "name": TAXONOMY,
        "version": report.rule_edition,
        "shortDescription": {"text": "The contest's rules in this project's words, as a dated edition."},
        "isComprehensive": False,
        "taxa": [_taxon(rule) for rule in report.rules],
    }


def _taxon(rule: RuleText) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": clean(rule.title),
        "shortDescription": {"text": _message(rule.title)},
        "fullDescription": {"text": _message(rule.text)},
        "properties": {"status": clean(rule.status), "sources": list(rule.sources)},
    }


def _results(report: Report, findings: tuple[Finding, ...], checks: list[str]) -> list[dict[str, Any]]:
    seen: Counter[str] = Counter()
    taxa = {rule.id: index for index, rule in enumerate(report.rules)}
    results = []
    for finding in findings:
        stable = _stable(report, finding)
        seen[stable] += 1
        results.append(
            _result(report, finding, checks.index(finding.check), taxa, _digest(f"{stable} {seen[stable]}"))
        )
    return results


def _result(
    report: Report, finding: Finding, index: int, taxa: Mapping[str, int], fingerprint: str
) -> dict[str, Any]:
    places = [_location(report, where) for where in finding.where] or _fallback(report)
    result: dict[str, Any] = {
        "ruleId": finding.check,
        "ruleIndex": index,
        "level": LEVELS[finding.state],
        "message": {"text": _message(_told(report, finding))},
        "locations": places[:1],
        "partialFingerprints": {FINGERPRINT: fingerprint},
        "taxa": [
            {"id": rule, "index": taxa[rule], "toolComponent": {"name": TAXONOMY, "index": 0}}
            for rule in finding.rules
            if rule in taxa
        ],
        "properties": {
            "state": finding.state,
            "grade": finding.grade,
            "evidence": dict(finding.evidence),
            "replay": replay_command(finding),
        },
    }
    if places[1:]:
        # Several `locations` would say that all of them have to change; they are where to look.
        result["relatedLocations"] = [{"id": number, **place} for number, place in enumerate(places[1:], 1)]
    return result


def _told(report: Report, finding: Finding) -> str:
    """The message, the opened lines of a packed script, and the way out."""
    parts = [finding.message.rstrip(".") + "."]
    opened = [str(where.line) for where in finding.where if where.line and _is_packed(report, where)]
    if opened:
        parts.append(f"At line {', '.join(opened)} of the opened text of the packed script.")
    legal = report.legal.get(finding.check) if finding.state is State.FAIL else None
    if legal:
        parts.append(f"Legal contrast: {legal}")
    if finding.try_next:
        parts.append(f"Next: {finding.try_next}")
    return " ".join(parts)


def _location(report: Report, where: Where) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": _artifact_location(report, where.file)}
    if where.line is not None:
        packed = _is_packed(report, where)
        region: dict[str, Any] = {"startLine": 1 if packed else where.line}
        if where.excerpt and not packed:
            region["snippet"] = {"text": clean(where.excerpt)}
        physical["region"] = region
    return {"physicalLocation": physical}


def _fallback(report: Report) -> list[dict[str, Any]]:
    """Code scanning shows no result without a place: the script, else the first file that was shipped."""
    names = [report.submission.script, *(file.path for file in report.files)]
    name = next((each for each in names if each), None)
    return [] if name is None else [_location(report, Where(name, 1))]


def _is_packed(report: Report, where: Where) -> bool:
    return report.submission.wrapper is not None and where.file == report.submission.script


def _artifact_location(report: Report, file: str) -> dict[str, str]:
    git = report.submission.git
    if git is not None and git.script is not None and file == report.submission.script:
        path = git.script
    else:
        path = str(PurePosixPath(_place_of_folder(report), file))
    return {"uri": _uri(path), "uriBaseId": ROOT}


def _place_of_folder(report: Report) -> str:
    """From the root of the repository: known for one from git, taken as given for a relative path."""
    git = report.submission.git
    path = PurePosixPath(report.submission.path if git is None else git.folder)
    return "" if path.is_absolute() or ".." in path.parts or str(path) == "." else str(path)


def _artifacts(report: Report, findings: tuple[Finding, ...]) -> list[dict[str, Any]]:
    """The shipped files that a result points at, with the digests by which to know them again."""
    cited = {where.file for finding in findings for where in finding.where}
    return [
        {
            "location": _artifact_location(report, file.path),
            "length": file.size_bytes,
            "hashes": {"sha-256": file.sha256},
        }
        for file in report.files
        if file.path in cited
    ]


def _invocation(report: Report) -> dict[str, Any]:
    errors = report.in_state(State.ERROR)
    return {
        "executionSuccessful": not errors,
        "exitCode": report.verdict.exit_code,
        "toolExecutionNotifications": [
            {
                "level": "error",
                "message": {"text": _message(f"{each.check}: {each.message}")},
                "descriptor": {"id": each.check},
            }
            for each in errors
        ],
    }


def _properties(report: Report) -> dict[str, Any]:
    bpb, git = report.bpb, report.submission.git
    return {
        "verdict": report.verdict.call,
        "verdict_grade": report.verdict.grade,
        "reasons": [f"{each.check}: {each.text}" for each in report.verdict.reasons],
        "counts": {str(state): count for state, count in report.counts.items()},
        "claimed_bpb": bpb.claimed,
        "logged_bpb": [each.val_bpb for each in bpb.logged],
        "measured_bpb": None if bpb.measured is None else bpb.measured.val_bpb,
        "submission": report.submission.name,
        "head_sha": None if git is None else git.sha,
        "pull_request": None if git is None else git.pr,
        "level": report.run.level,
        "device": report.run.device,
        "seeds": list(report.run.seeds),
        "repeat": again_command(report, report.submission.path),
    }


def _message(text: str) -> str:
    """Visible characters, paragraphs kept. A blank breaks what would be a link; braces would be placeholders."""
    paragraphs = "\n\n".join(clean(part) for part in text.split("\n\n"))
    return paragraphs.replace("](", "] (").replace("{", "{{").replace("}", "}}")


def _stable(report: Report, finding: Finding) -> str:
    """What stays of a finding when lines above it come and go, and numbers change from seed to seed."""
    where = finding.where[0] if finding.where else None
    place = (None, None) if where is None else (where.file, " ".join((where.excerpt or "").split()))
    return repr((finding.check, finding.rules, str(finding.state), _place_of_folder(report), place))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _uri(path: str) -> str:
    return quote(path.encode("utf-8", "replace"))
