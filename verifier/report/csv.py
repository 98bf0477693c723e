"""A batch as CSV: one row for each submission, one column for the state of each check.

A cell that a spreadsheet would take for a formula starts with an apostrophe: names come from submissions.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from verifier.batch.line import Line
from verifier.report.wording import clean

COLUMNS = (
    *(
        "pr",
        "sha",
        "name",
        "submission",
        "folder",
        "status",
        "verdict",
        "grade",
        "claimed_bpb",
        "failed",
        "reached",
    ),
    *("run", "reason", "seconds", "level", "tool", "rule_edition", "report", "report_sha256"),
)
"""Fields of an index line, in the order of the table; the checks follow."""
FORMULA = ("=", "+", "-", "@")


def render_csv(lines: Sequence[Line]) -> str:
    """With a header; empty cells where a line does not say."""
    checks = sorted({check for line in lines for check in line.states})
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow((*COLUMNS, *map(_cell, checks)))
    for line in lines:
        fields = line.to_document() | {"failed": " ".join(each.check for each in line.failed)}
        table.writerow([_cell(value) for value in (*map(fields.get, COLUMNS), *map(line.states.get, checks))])
    return text.getvalue()


def _cell(value: object) -> str:
    """Numbers as they are, yes and no for truth, text on one visible line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return repr(value)
    shown = clean(str(value))
    return f"'{shown}" if shown.startswith(FORMULA) else shown
