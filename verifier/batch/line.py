"""One line of the index: what a table of many submissions needs of each, and where its report is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from verifier.batch.task import Task
from verifier.finding import WORST_FIRST, State
from verifier.report.json import plain
from verifier.report.model import Report
from verifier.report.wording import clean
from verifier.verdict import GRADE_ORDER, Call

REACHED_CHECK = "N1-reached"
LONGEST_TEXT = 400

Status = Literal["audited", "nothing", "failed", "killed"]
"""`nothing`: it holds no submission. `failed`: the audit raised or died. `killed`: it overran its limit."""


@dataclass(frozen=True)
class Failed:
    """A FAIL in one line."""

    check: str
    grade: str
    message: str


@dataclass(frozen=True)
class Line:
    """The index's record of one submission. Without a report, the verdict is NEEDS_REVIEW and `reason` says why."""

    key: str
    name: str
    status: Status
    verdict: str
    path: str
    pr: int | None = None
    sha: str | None = None
    folder: str | None = None
    submission: str | None = None
    """The name that its author gave it."""
    grade: str | None = None
    seconds: float = 0.0
    claimed_bpb: float | None = None
    failed: tuple[Failed, ...] = ()
    """Strongest evidence first."""
    states: Mapping[str, str] = field(default_factory=dict)
    """The worst state of each check."""
    reached: bool | None = None
    """Whether the run printed the claimed number; None where nothing was run."""
    run: str | None = None
    """How the base run ended, in one line; None where nothing was run."""
    reason: str = ""
    """The strongest reason for the verdict, in one line."""
    report: str | None = None
    """Relative to the index."""
    report_sha256: str | None = None
    level: str = ""
    tool: str = ""
    rule_edition: str = ""

    def to_document(self) -> dict[str, Any]:
        document: dict[str, Any] = plain(asdict(self))
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Raises TypeError, KeyError or AttributeError for what is no line."""
        known = {name: value for name, value in document.items() if name in cls.__dataclass_fields__}
        return cls(**{**known, "failed": tuple(Failed(**each) for each in document.get("failed", ()))})


def audited(task: Task, report: Report, data: bytes, where: str) -> Line:
    """The line of a report, whose bytes lie at `where`."""
    git = report.submission.git
    states: dict[str, str] = {}
    for state in reversed(WORST_FIRST):
        states.update({finding.check: str(state) for finding in report.in_state(state)})
    fails = sorted(report.in_state(State.FAIL), key=lambda finding: -GRADE_ORDER.index(finding.grade))
    failed = tuple(Failed(each.check, str(each.grade), _one_line(each.message)) for each in fails)
    reasons = [f"{each.check}: {each.message}" for each in failed]
    reasons += [f"{each.check}: {each.text}" for each in report.verdict.reasons]
    ran = bool(report.run.runs)
    base = report.run.runs[0] if ran else None
    return Line(
        **_identity(task),
        status="audited",
        verdict=str(report.verdict.call),
        submission=report.submission.name,
        folder=task.folder if git is None else git.folder,
        grade=None if report.verdict.grade is None else str(report.verdict.grade),
        seconds=round(report.seconds, 3),
        claimed_bpb=report.bpb.claimed,
        failed=failed,
        states={check: states[check] for check in sorted(states)},
        reached=states.get(REACHED_CHECK) == State.PASS if ran or report.run.not_run else None,
        run=_one_line(f"{base.status}: {base.reason}".removesuffix(": ")) if base else report.run.not_run,
        reason=_one_line(reasons[0]) if reasons else "",
        report=where,
        report_sha256=hashlib.sha256(data).hexdigest(),
    )


def unaudited(task: Task, status: Status, why: str, seconds: float) -> Line:
    """The line of a submission that has no report."""
    return Line(
        **_identity(task),
        status=status,
        verdict=str(Call.NEEDS_REVIEW),
        folder=task.folder,
        seconds=round(seconds, 3),
        reason=_one_line(why),
    )


def _identity(task: Task) -> dict[str, Any]:
    how = task.settings
    return {
        "key": task.key,
        "name": task.name,
        "path": task.path,
        "pr": task.pr,
        "sha": task.sha,
        "level": how.level,
        "tool": how.tool,
        "rule_edition": how.rule_edition,
    }


def _one_line(text: str) -> str:
    shown = clean(text)
    return shown if len(shown) <= LONGEST_TEXT else shown[: LONGEST_TEXT - 1] + "…"
