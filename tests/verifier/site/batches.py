"""A finished batch on disk: an index, and a report for each line that has one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tests.verifier.report import samples
from tests.verifier.report.test_html import EVIL, evil_report
from verifier.batch.line import Failed, Line
from verifier.report.json import render_json
from verifier.report.model import Report
from verifier.submission import Origin


def line(report: Report, name: str, pr: int | None = None) -> Line:
    failed = tuple(Failed(each.check, str(each.grade), each.message) for each in report.findings)
    return Line(
        key=name,
        name=name,
        status="audited",
        verdict=str(report.verdict.call),
        path="pg.git",
        pr=pr,
        report=f"reports/{name}.json",
        failed=failed[:1],
        level="probes",
        tool="0.1.0+abc",
        rule_edition="2026-05-02",
    )


def pulled(report: Report, pr: int, **submission: object) -> Report:
    origin = Origin("pg.git", pr, "ab" * 20, "records/x")
    return replace(report, submission=replace(report.submission, git=origin, **submission))  # type: ignore[arg-type]


def field() -> dict[str, Report]:
    """Two compliant ones, a breach, a review and one whose every string is hostile."""
    honest, cheat = samples.honest(), samples.cheat()
    return {
        "549-a": pulled(honest, 549),
        "1019-b": pulled(replace(honest, bpb=replace(honest.bpb, claimed=1.1147)), 1019, date="2026-03-25"),
        "1430-c": pulled(replace(cheat, seed_runs=honest.seed_runs), 1430, date="2026-04-07"),
        "2000-d": pulled(samples.documents(), 2000),
        "2001-e": pulled(evil_report(), 2001, author=EVIL, date=EVIL),
    }


def write_batch(folder: Path, reports: dict[str, Report] | None = None) -> Path:
    """The index, with a line that was killed and one that holds no submission besides."""
    reports = field() if reports is None else reports
    (folder / "reports").mkdir(parents=True)
    lines = [line(report, name, int(name.split("-")[0])) for name, report in reports.items()]
    for name, report in reports.items():
        (folder / "reports" / f"{name}.json").write_text(render_json(report), encoding="utf-8")
    killed = Line("k", "3000-f", "killed", "NEEDS_REVIEW", "pg.git", pr=3000, reason="over its limit")
    nothing = Line("n", "3001-g", "nothing", "NEEDS_REVIEW", "pg.git", pr=3001, reason="no submission")
    text = "".join(json.dumps(each.to_document()) + "\n" for each in (*lines, killed, nothing))
    (folder / "index.jsonl").write_text(text, encoding="utf-8")
    return folder
