"""One submission as a row of the leaderboard, from its report alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from verifier.batch.line import Line
from verifier.finding import State
from verifier.report.model import Report
from verifier.seedrun import SeedRun
from verifier.submission import Track

NOT_AUDITED = "NOT_AUDITED"


@dataclass(frozen=True)
class Entry:
    """Empty fields are what nobody said."""

    name: str
    pr: int | None
    verdict: str
    """A `Call`, or NOT_AUDITED where no report came of it."""
    reason: str
    """The first reason for the verdict."""
    page: str | None = None
    """Its report's page, relative to the site."""
    author: str | None = None
    day: date | None = None
    """As submission.json gives it."""
    track: str = Track.UNKNOWN
    grade: str | None = None
    claimed_bpb: float | None = None
    broken: tuple[str, ...] = ()
    """The rule that each FAIL is measured by, each once."""
    failed: tuple[str, ...] = ()
    """The checks that FAILed."""
    seed_runs: tuple[SeedRun, ...] = ()
    level: str = ""

    @property
    def seeds(self) -> int:
        return len(self.seed_runs)

    @property
    def artifact_bytes(self) -> int | None:
        """The largest over the seeds, like the times."""
        return max((run.artifact_bytes for run in self.seed_runs if run.artifact_bytes), default=None)

    @property
    def train_seconds(self) -> float | None:
        return max((run.train_seconds for run in self.seed_runs if run.train_seconds), default=None)

    @property
    def eval_seconds(self) -> float | None:
        return max((run.eval_seconds for run in self.seed_runs if run.eval_seconds), default=None)


def audited_entry(line: Line, report: Report, page: str) -> Entry:
    """Everything is the report's, so that a row cannot say what its page does not."""
    fails = report.in_state(State.FAIL)
    first = [finding.rules[0] for finding in fails if finding.rules]
    submission = report.submission
    reasons = report.verdict.reasons
    return Entry(
        name=submission.name,
        pr=line.pr if submission.git is None else submission.git.pr,
        verdict=str(report.verdict.call),
        reason=f"{reasons[0].check}: {reasons[0].text}" if reasons else "",
        page=page,
        author=submission.author,
        day=read_day(submission.date),
        track=submission.track,
        grade=None if report.verdict.grade is None else str(report.verdict.grade),
        claimed_bpb=report.bpb.claimed,
        broken=tuple(sorted(set(first))),
        failed=tuple(dict.fromkeys(finding.check for finding in fails)),
        seed_runs=report.seed_runs,
        level=report.run.level,
    )


def unaudited_entry(line: Line) -> Entry:
    return Entry(line.name, line.pr, NOT_AUDITED, line.reason, level=line.level)


def read_day(text: str | None) -> date | None:
    """`2026-04-27` or `2026-04-27T10:00:00Z`; None for `PLACEHOLDER` and whatever else is written there."""
    found = re.match(r"\d{4}-\d{2}-\d{2}", text or "")
    try:
        return None if found is None else date.fromisoformat(found[0])
    except ValueError:
        return None
