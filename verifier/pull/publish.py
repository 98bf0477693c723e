"""Publish what an audit handed over: one comment, and one SARIF file of all folders.

Holds a token, and so executes nothing of the pull request and believes nothing of the handover that somebody
else has not said too: the commit comes from the event that started it, and that the pull request stands there
comes from GitHub. Text is rendered here, from reports that keep to their schema.

Cannot see: a report that was forged by the job that made it. A pull request that edits workflows could do so,
which is why one that does is not published.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from verifier.audit import cited_rules, legal_contrasts
from verifier.pull.comment import MARKER, render_comment
from verifier.pull.github import GitHub
from verifier.pull.handover import read_handover
from verifier.report.model import Report
from verifier.report.sarif import merged_sarif
from verifier.report.store import check_pages, write_whole
from verifier.verdict import decide

SARIF = "report.sarif"


@dataclass(frozen=True)
class Published:
    pr: int
    head: str
    sarif: Path | None
    """None where nothing was audited, so there is nothing to upload."""
    refused: str = ""
    """Why nothing was published; empty when it was."""


def publish(handed: Path, github: GitHub, head: str, author: str, out: Path) -> Published:
    """Raises HandoverError and ApiError. `head` is the audited commit as the event names it."""
    handover, reports = read_handover(handed)
    reports = tuple(_retold(report) for report in reports)
    pr = handover.pr
    if handover.head != head:
        return Published(
            pr, head, None, f"the reports are about {handover.head[:12]}, the run about {head[:12]}"
        )
    now = github.head(pr)
    if now != head:
        return Published(pr, head, None, f"pull request {pr} stands at {now[:12]} by now, not at {head[:12]}")
    if github.changes_workflows(pr):
        return Published(
            pr, head, None, f"pull request {pr} changes .github, and with it the audit's own job"
        )
    sarif = _write_sarif(reports, out) if reports else None
    github.put_comment(pr, MARKER, author, render_comment(handover, reports))
    return Published(pr, head, sarif)


def _retold(report: Report) -> Report:
    """The same findings, with the verdict, the rules and their links as this installation has them."""
    findings = report.findings
    return replace(
        report, verdict=decide(findings), rules=cited_rules(findings), legal=legal_contrasts(findings)
    )


def _write_sarif(reports: Sequence[Report], out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    document = merged_sarif(reports, check_pages())
    write_whole(out / SARIF, json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2) + "\n")
    return out / SARIF
