"""The one comment of a pull request: every report of its head, under a marker by which it is found again."""

from __future__ import annotations

from collections.abc import Sequence

from verifier.pull.handover import Handover
from verifier.report.markdown import code, escape, render_markdown
from verifier.report.model import Report

MARKER = "<!-- pgolf-verify: this comment is updated in place -->"
MAX_CHARS = 60_000
"""GitHub takes 65,536. The rest is room for what surrounds the reports."""
CUT = "…\n\nThe rest of this report did not fit into a comment: see the workflow's artifact for all of it."


def render_comment(handover: Handover, reports: Sequence[Report]) -> str:
    """Markdown that starts with `MARKER`. Everything in it comes from the renderer of reports, which escapes."""
    if not reports:
        blocks = [f"### pgolf-verify\n\n{code(handover.head[:12])} adds no submission folder."]
    else:
        room = MAX_CHARS // len(reports)
        blocks = [_within(render_markdown(report), room) for report in reports]
    if handover.left_out:
        names = ", ".join(code(name) for name in handover.left_out[:8])
        blocks.append(f"Not audited: {len(handover.left_out)} more folders that it adds, {names}.")
    foot = (
        f"<sub>Of commit {escape(handover.head)}. The audit ran in the pull request's own workflow, without "
        "secrets; a reviewer who must be sure repeats it with the replay line.</sub>"
    )
    return "\n\n".join([MARKER, *blocks, foot]) + "\n"


def _within(markdown: str, room: int) -> str:
    """Whole paragraphs up to a length; what was opened and is cut is closed."""
    if len(markdown) <= room:
        return markdown.rstrip()
    kept: list[str] = []
    for paragraph in markdown.split("\n\n"):
        if sum(len(each) + 2 for each in kept) + len(paragraph) > room - len(CUT) - 20:
            break
        kept.append(paragraph)
    text = "\n\n".join(kept)
    closing = "\n\n</details>" * (text.count("<details>") - text.count("</details>"))
    return f"{text}{closing}\n\n{CUT}"
