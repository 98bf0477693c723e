"""A scoreboard on a terminal, in Markdown and as JSON: the same numbers, from the same tables."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from verifier.report.json import plain
from verifier.report.markdown import escape
from verifier.report.wording import clean
from verifier.score import Row, Scoreboard, Share
from verifier.verdict import Call

PRS_SHOWN = 12


class Sheet(NamedTuple):
    """One table."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def sheets(board: Scoreboard) -> tuple[Sheet, ...]:
    """The tables, most telling first."""
    calls = tuple(str(call) for call in Call)
    return (
        Sheet("label by verdict", ("label", *calls, "all"), _counted(board.matrix)),
        Sheet(
            "by confidence",
            ("label", *calls, "all"),
            _counted({" ".join(kind): counts for kind, counts in board.by_confidence.items()}),
        ),
        Sheet("illegal, by violation", ("violation", *calls, "all"), _counted(board.by_violation)),
        Sheet(
            "strongest FAIL, by grade",
            ("grade", *board.labels, "all"),
            tuple(
                (grade, *(str(counts[label]) for label in board.labels), str(counts.total()))
                for grade, counts in board.by_grade.items()
            ),
        ),
    )


def facts(board: Scoreboard) -> tuple[tuple[str, str], ...]:
    """The numbers that stand alone, and what the comparison leaves out."""
    legal, illegal = board.labelled("legal"), board.labelled("illegal")
    seconds = board.median_seconds
    found = [
        ("false accusations", str(Share(len(board.false_accusations), len(legal)))),
        ("misses", str(Share(len(board.misses), len(illegal)))),
        ("sent to review", str(Share(len(board.reviews), len(board.rows)))),
        ("illegal high and medium, proven (log or better)", str(board.proven)),
        ("scripts that reached their number", str(board.reached) if board.reached.whole else "none was run"),
        ("median seconds", "none" if seconds is None else f"{seconds:.1f}"),
    ]
    for name, prs in (
        ("no report", [row.label.pr for row in board.unfinished]),
        ("audited at another folder or commit", [row.label.pr for row in board.elsewhere]),
        ("labelled, not in the index", board.not_audited),
        ("more than one line, the last counts", board.repeated),
    ):
        if prs:
            found.append((name, _numbers(prs)))
    if board.unlabelled:
        found.append(("in the index, not labelled", f"{len(board.unlabelled):,}"))
    return tuple(found)


def print_scoreboard(board: Scoreboard, console: Console) -> None:
    """On a terminal."""
    for sheet in sheets(board):
        table = Table(title=sheet.title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for index, name in enumerate(sheet.head):
            table.add_column(name, justify="right" if index else "left")
        for row in sheet.rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)
        console.print()
    for name, value in facts(board):
        console.print(Text(f"{name}: {value}"))
    for title, rows in _disagreements(board):
        console.print()
        console.print(Text(f"{title}: {len(rows)}", "bold red" if rows else "bold"))
        for each in rows:
            console.print(Text(f"  {_disagreement(each)}"), soft_wrap=True)


def render_scoreboard(board: Scoreboard) -> str:
    """As Markdown, without a heading of its own."""
    parts: list[str] = []
    for sheet in sheets(board):
        lines = [f"| {' | '.join(sheet.head)} |", f"| --- |{' ---: |' * (len(sheet.head) - 1)}"]
        lines += [f"| {' | '.join(escape(cell) for cell in row)} |" for row in sheet.rows]
        parts.append(f"**{sheet.title}**\n\n" + "\n".join(lines))
    parts.append("\n".join(f"- {name}: {escape(value)}" for name, value in facts(board)))
    for title, rows in _disagreements(board):
        listed = "\n".join(f"- {escape(_disagreement(each))}" for each in rows)
        parts.append(f"**{title}: {len(rows)}**" + (f"\n\n{listed}" if rows else ""))
    return "\n\n".join(parts)


def scoreboard_document(board: Scoreboard) -> str:
    """As JSON text: every count, and every row with our strongest reason."""
    document: dict[str, Any] = {
        "matrix": board.matrix,
        "by_confidence": {" ".join(kind): counts for kind, counts in board.by_confidence.items()},
        "by_violation": board.by_violation,
        "by_grade": board.by_grade,
        "false_accusations": [row.label.pr for row in board.false_accusations],
        "misses": [row.label.pr for row in board.misses],
        "reviews": [row.label.pr for row in board.reviews],
        "proven": board.proven,
        "reached": board.reached,
        "median_seconds": board.median_seconds,
        "no_report": [row.label.pr for row in board.unfinished],
        "elsewhere": [row.label.pr for row in board.elsewhere],
        "not_audited": board.not_audited,
        "unlabelled": board.unlabelled,
        "repeated": board.repeated,
        "rows": [_row(row) for row in board.rows],
    }
    return json.dumps(plain(document), ensure_ascii=False, indent=2) + "\n"


def _row(row: Row) -> dict[str, Any]:
    label, line = row.label, row.line
    return {
        "pr": label.pr,
        "label": label.label,
        "confidence": label.confidence,
        "violations": label.violations,
        "verdict": line.verdict,
        "grade": row.grade,
        "reached": line.reached,
        "seconds": line.seconds,
        "status": line.status,
        "reason": line.reason,
    }


def _disagreements(board: Scoreboard) -> tuple[tuple[str, tuple[Row, ...]], ...]:
    return ("false accusations", board.false_accusations), ("misses", board.misses)


def _disagreement(row: Row) -> str:
    label = row.label
    kind = " ".join(word for word in (label.label, label.confidence, *label.violations) if word)
    graded = f"{row.line.verdict}" + (f" ({row.grade})" if row.grade else "")
    return clean(f"#{label.pr} {kind}, we say {graded}: {row.line.reason or 'every requirement is met'}")


def _counted(table: Mapping[str, Counter[Call]]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (name, *(str(counts[call]) for call in Call), str(counts.total())) for name, counts in table.items()
    )


def _numbers(prs: Iterable[int]) -> str:
    listed = list(prs)
    more = f" and {len(listed) - PRS_SHOWN} more" if len(listed) > PRS_SHOWN else ""
    return f"{len(listed)}: " + " ".join(f"#{pr}" for pr in listed[:PRS_SHOWN]) + more
