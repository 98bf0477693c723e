"""The leaderboard's page: the frontier, and a table that sorts and filters without a server.

The table is whole and readable without a script; the script only orders and hides its rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from verifier.report.frontier import DATA, frontier_pictures
from verifier.report.html import CALL_WORDS, asset, environment, policy
from verifier.report.wording import bpb_number, number
from verifier.site.entry import NOT_AUDITED, Entry
from verifier.site.frontier import Step
from verifier.verdict import GRADE_ORDER, Call

ROWS = "submissions.json"
VERDICTS: dict[str, str] = {
    **{str(call): words for call, words in CALL_WORDS.items()},
    NOT_AUDITED: "NOT AUDITED",
}
VERDICT_ORDER = (Call.COMPLIANT, Call.NEEDS_REVIEW, Call.NON_COMPLIANT, NOT_AUDITED)
TRACKS = {"10min_16mb": "record", "non_record_16mb": "non-record"}
COLUMNS = (
    ("Submission", "text", "pull request, name and author"),
    ("Claimed", "number", "bits per byte that submission.json claims"),
    ("Verdict", "text", "what the audit says; the report says why"),
    ("Rules", "text", "the rule that each FAIL is measured by"),
    ("Evidence", "text", "grade of the evidence behind the verdict"),
    ("Seeds", "number", "runs behind the claim, by their logs"),
    ("Bytes", "number", "code and compressed model, the largest over the seeds"),
    ("Train s", "number", "seconds of training, the longest over the seeds"),
    ("Eval s", "number", "seconds of evaluation, the longest over the seeds"),
    ("Date", "text", "as submission.json gives it"),
    ("Track", "text", "of the contest"),
)
"""Heading, how it sorts, and what it is, in the order of the cells."""


def render_site(
    entries: Sequence[Entry],
    lines: Mapping[str, tuple[Step, ...]],
    facts: Mapping[str, str],
    nothing: int = 0,
) -> str:
    """The page. `facts` say how the batch was audited; `nothing` pull requests held no submission."""
    style, script = asset("report.css") + asset("site.css"), asset("site.js")
    early = 'document.documentElement.className = "scripted";'
    counts = Counter(entry.verdict for entry in entries)
    text: str = (
        environment()
        .get_template("site.html")
        .render(
            style=Markup(style),
            script=Markup(script),
            early=Markup(early),
            policy=policy(style, script, early),
            facts=facts,
            counts=[
                (verdict, VERDICTS[verdict], counts[verdict]) for verdict in VERDICT_ORDER if counts[verdict]
            ],
            nothing=nothing,
            static_only=bool(entries) and all(entry.level in ("documents", "static") for entry in entries),
            pictures=[(each, Markup(each.svg)) for each in frontier_pictures(lines)],
            steps={name: steps for name, steps in lines.items() if steps},
            columns=COLUMNS,
            rows=[_row(entry) for entry in sorted(entries, key=_order)],
            rules=sorted({rule for entry in entries for rule in entry.broken}),
            grades=[str(grade) for grade in GRADE_ORDER if any(entry.grade == grade for entry in entries)],
            tracks=sorted({_track(entry) for entry in entries} - {""}),
            bpb_number=bpb_number,
            rows_file=ROWS,
            steps_file=DATA,
        )
    )
    return text


def _order(entry: Entry) -> tuple[int, bool, float, int]:
    """Compliant first, then by the claim; placeholders and what claims nothing last."""
    claimed = entry.claimed_bpb
    real = claimed is not None and claimed > 0.0
    return (
        VERDICT_ORDER.index(entry.verdict),
        not real,
        claimed if claimed is not None else 0.0,
        entry.pr or 0,
    )


def _row(entry: Entry) -> dict[str, object]:
    return {
        "entry": entry,
        "kind": entry.verdict.lower(),
        "verdict": VERDICTS[entry.verdict],
        "cells": (
            " ".join(entry.broken),
            entry.grade or "",
            str(entry.seeds) if entry.seeds else "",
            "" if entry.artifact_bytes is None else number(entry.artifact_bytes),
            _seconds(entry.train_seconds),
            _seconds(entry.eval_seconds),
            "" if entry.day is None else entry.day.isoformat(),
            _track(entry),
        ),
        "claimed": "" if entry.claimed_bpb is None else bpb_number(entry.claimed_bpb),
    }


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _track(entry: Entry) -> str:
    return TRACKS.get(entry.track, "")
