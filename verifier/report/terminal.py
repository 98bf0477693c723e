"""The report on a terminal: verdict, BPB, then what failed, what a reviewer must look at, what passed.

Plain text carries everything; colour only repeats it. Replay lines are never broken, so that they can
be copied; every other line keeps to the width.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from verifier.finding import Finding, State
from verifier.report.model import Report
from verifier.report.wording import (
    ATTENTION,
    again_command,
    bpb_number,
    clean,
    counts_line,
    evidence_line,
    measured_words,
    origin_words,
    replay_command,
    run_line,
)
from verifier.verdict import Call

CALL_STYLE = {
    Call.COMPLIANT: "bold green",
    Call.NON_COMPLIANT: "bold red",
    Call.NEEDS_REVIEW: "bold yellow",
}
STATE_STYLE = {
    State.PASS: "green",
    State.FAIL: "bold red",
    State.WARN: "yellow",
    State.UNVERIFIED: "magenta",
    State.UNRULED: "cyan",
    State.ERROR: "bold magenta",
    State.NOT_APPLICABLE: "dim",
}
STATE_WIDTH = len(State.UNVERIFIED)
LABEL_WIDTH = len("evidence")
PLACES_SHOWN = 3


def render_terminal(report: Report, console: Console, *, saved_as: str | None = None) -> None:
    """Print the report. `saved_as` is the report.json that was written, for the replay lines."""
    verdict = report.verdict
    head = Text(str(verdict.call), CALL_STYLE[verdict.call])
    head.append(f"  {clean(report.submission.name)}", "default")
    if verdict.grade is not None:
        head.append(f"  ({verdict.grade} evidence)", "default not bold")
    console.print(head)
    console.print(Text(counts_line(report)))
    for line in _identity(report, console.width):
        console.print(line)
    console.print()
    console.print(_bpb(report))
    for line in _needed(report):
        console.print(line)
    attention = report.in_state(*ATTENTION)
    for finding in report.in_state(State.FAIL):
        _print_finding(finding, report, console, saved_as)
    if attention:
        console.print()
    for alike in _alike(attention):
        if len(alike) > 1:
            _print_alike(alike, console)
        else:
            _print_finding(alike[0], report, console, saved_as)
    _print_quiet_states(report, console)


def render_line(report: Report) -> str:
    """The one line that `--quiet` leaves."""
    return f"{report.verdict.call}  {clean(report.submission.name)}  {counts_line(report)}"


def _identity(report: Report, width: int) -> list[Text]:
    """What was audited and how, broken between its parts only where they fit."""
    submission = report.submission
    script = "no script" if submission.script is None else clean(submission.script)
    if submission.wrapper:
        script += f" ({clean(submission.wrapper)})"
    if submission.sha256:
        script += f" sha256 {submission.sha256[:12]}"
    origin = () if submission.git is None else (origin_words(submission.git),)
    parts = [
        script,
        *origin,
        f"track {clean(submission.track)}",
        f"rules {report.rule_edition}",
        run_line(report),
    ]
    lines: list[str] = []
    for part in " · ".join(parts).split(" · "):
        if lines and len(lines[-1]) + len(part) + len(" ·  ·") <= width:
            lines[-1] += f" · {part}"
        else:
            lines.append(part)
    return [Text(line + " ·" * (line is not lines[-1]), "dim") for line in lines]


def _bpb(report: Report) -> RenderableType:
    bpb = report.bpb
    grid = _grid(LABEL_WIDTH)
    key = f"  ({clean(bpb.claimed_key)})" if bpb.claimed_key else ""
    grid.add_row("claimed", Text(f"{bpb_number(bpb.claimed)}{key}"))
    logged = " ".join(bpb_number(each.val_bpb) for each in bpb.logged) or "none"
    if len(bpb.logged) > 1:
        logged += f"  (mean {bpb_number(bpb.logged_mean)})"
    grid.add_row("logged", Text(logged))
    if bpb.measured is None:
        measured = f"none: {clean(report.run.not_run)}" if report.run.not_run else "none"
    else:
        measured = f"{bpb_number(bpb.measured.val_bpb)}  ({measured_words(bpb.measured)})"
    grid.add_row("measured", Text(measured))
    return Group(Text("bits per byte", "bold"), Padding(grid, (0, 0, 0, 2)))


def _needed(report: Report) -> list[Text]:
    """The checks whose PASS is missing for COMPLIANT; their findings, where they have any, follow below."""
    asked = [reason.check for reason in report.verdict.reasons if reason.state is State.UNVERIFIED]
    spoke = {finding.check for finding in report.findings}
    silent = [check for check in asked if not spoke & set(check.split(" or "))]
    lines = []
    for checks, why in (
        ([check for check in asked if check not in silent], "see below"),
        (silent, "did not run"),
    ):
        if checks:
            lines.append(Text(f"COMPLIANT needs {', '.join(clean(check) for check in checks)}  ({why})"))
    return [Text(), *lines] if lines else []


def _alike(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Neighbours that say the same with nothing of their own, as all probes do when none was run."""
    groups: list[list[Finding]] = []
    for finding in findings:
        same = groups and _said(groups[-1][0]) == _said(finding) and not finding.where
        if same and finding.state is State.UNVERIFIED:
            groups[-1].append(finding)
        else:
            groups.append([finding])
    return groups


def _said(finding: Finding) -> tuple[object, ...]:
    return finding.state, finding.message, finding.try_next, finding.where


def _print_alike(findings: Sequence[Finding], console: Console) -> None:
    """Several checks in one entry: their ids, then what they all say."""
    first = findings[0]
    grid = _grid(STATE_WIDTH, STATE_STYLE[first.state])
    grid.add_row(str(first.state), Text(" ".join(clean(each.check) for each in findings), "bold"))
    grid.add_row("", Text(clean(first.message)))
    console.print(grid)
    if first.try_next:
        details = _grid(LABEL_WIDTH)
        details.add_row("next", Text(clean(first.try_next)))
        console.print(Padding(details, (0, 0, 0, STATE_WIDTH + 2)))


def _print_finding(finding: Finding, report: Report, console: Console, saved_as: str | None) -> None:
    """A FAIL takes a block; anything else starts with its message and leaves out what is in the JSON."""
    failed = finding.state is State.FAIL
    indent = STATE_WIDTH + 2
    if failed:
        console.print()
    head = _grid(STATE_WIDTH, STATE_STYLE[finding.state])
    words = finding.title if failed else finding.message
    head.add_row(str(finding.state), Text.assemble((clean(finding.check), "bold"), f"  {clean(words)}"))
    console.print(head)
    if failed:
        console.print(Padding(Text(clean(finding.message)), (0, 0, 0, indent)))
    grid = _grid(LABEL_WIDTH)
    for label, text in _details(finding, report):
        grid.add_row(label, Text(text))
    if grid.row_count:
        console.print(Padding(grid, (0, 0, 0, indent)))
    command = _replay(finding, report, saved_as)
    if command:
        line = Text(" " * indent + f"{'replay':<{LABEL_WIDTH}}  ", "dim").append(command, "not dim bold")
        console.print(line, soft_wrap=True)


def _details(finding: Finding, report: Report) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for index, where in enumerate(finding.where[:PLACES_SHOWN]):
        excerpt = f"  {clean(where.excerpt)}" if where.excerpt else ""
        rows.append(("" if index else "where", clean(str(where)) + excerpt))
    if len(finding.where) > PLACES_SHOWN:
        rows.append(("", f"and {len(finding.where) - PLACES_SHOWN} more"))
    evidence = evidence_line(finding)
    if evidence and finding.state in (State.FAIL, State.UNRULED):
        rows.append(("evidence", " · ".join(evidence)))
    if finding.state is State.FAIL:
        rows.append(("rules", f"{' '.join(finding.rules)}  ({finding.grade})"))
    legal = report.legal.get(finding.check) if finding.state is State.FAIL else None
    if legal:
        rows.append(("legal", clean(legal)))
    if finding.try_next:
        rows.append(("next", clean(finding.try_next)))
    return rows


def _replay(finding: Finding, report: Report, saved_as: str | None) -> str | None:
    if not finding.replayable:
        return None
    return (
        again_command(report, report.submission.path)
        if saved_as is None
        else replay_command(finding, saved_as)
    )


def _print_quiet_states(report: Report, console: Console) -> None:
    passes = report.in_state(State.PASS)
    console.print()
    grid = _grid(STATE_WIDTH, STATE_STYLE[State.PASS])
    for finding in passes:
        grid.add_row(
            str(State.PASS), Text.assemble((clean(finding.check), "bold"), f"  {clean(finding.message)}")
        )
    console.print(grid)
    others = report.in_state(State.NOT_APPLICABLE)
    if others:
        ids = " ".join(dict.fromkeys(clean(finding.check) for finding in others))
        console.print(Text(f"not applicable: {ids}", STATE_STYLE[State.NOT_APPLICABLE]))


def _grid(label_width: int, style: str = "dim") -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=label_width, no_wrap=True, style=style)
    grid.add_column(overflow="fold")
    return grid


def plain_table(*columns: str) -> Table:
    """Columns without lines; the first keeps its words whole. No head where no column has a name."""
    table = Table(
        box=None, padding=(0, 2, 0, 0), header_style="dim", show_edge=False, show_header=any(columns)
    )
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index == 0, overflow="fold")
    return table
