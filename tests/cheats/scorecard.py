"""`python -m tests.cheats.scorecard`: audit every entry of the corpus and print the kill matrix.

Under it stands a table of mutants of documents and sources, which are read and not run. Exits with 1 when an illegal
entry ends COMPLIANT and no reason for it is on record, a legal one ends NON_COMPLIANT, or a check did not say of
its own mutant what it was to say.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.cheats.corpus import Entry, write_folder
from tests.cheats.mutants import ENTRIES
from tests.cheats.reading import WRITTEN, Read, read, table
from verifier.audit import audit
from verifier.finding import State
from verifier.report.markers import write_between
from verifier.report.model import Report
from verifier.verdict import Call

SEED = 20260502
TIME_LIMIT_SECONDS = 170.0
PROBE_CHECKS = (
    "E1-floor",
    "C1-flip",
    "C1-window",
    "C2-mass",
    "C3-order",
    "C3-context",
    "C4-ledger",
    "V1-calibration",
    "B3-bytes",
)
MARKER = "kill matrix"
BEGIN, END = f"<!-- {MARKER} -->", f"<!-- /{MARKER} -->"
_MARKS = {
    State.FAIL: "**FAIL**",
    State.WARN: "WARN",
    State.UNRULED: "UNRULED",
    State.UNVERIFIED: "?",
    State.ERROR: "ERROR",
}


@dataclass(frozen=True)
class Row:
    """What the audit said about one entry."""

    entry: Entry
    states: dict[str, State]
    """The worst state of each check that ran."""
    call: Call
    messages: tuple[str, ...]
    seconds: float

    @property
    def caught(self) -> bool:
        """An illegal entry: did its own check speak?"""
        return self.states.get(self.entry.caught_by or "") in (State.FAIL, State.WARN, State.UNRULED)

    @property
    def wrong(self) -> str | None:
        """Why this row fails the scorecard, when it does."""
        if self.entry.legal:
            return "a legal entry is NON_COMPLIANT" if self.call is Call.NON_COMPLIANT else None
        if self.call is Call.COMPLIANT and self.entry.survives is None:
            return "an illegal entry is COMPLIANT, and no reason is on record"
        if self.call is not Call.COMPLIANT and not self.caught and self.entry.survives is None:
            return f"{self.entry.caught_by} was to catch it, and did not speak"
        return None


_ORDER = (
    State.NOT_APPLICABLE,
    State.PASS,
    State.UNRULED,
    State.UNVERIFIED,
    State.WARN,
    State.ERROR,
    State.FAIL,
)


def measure(entry: Entry, folder: Path, seed: int = SEED) -> Row:
    """Audit one entry in `folder`, which must not exist yet."""
    report = audit(write_folder(folder, entry.script()), seed=seed, time_limit_seconds=TIME_LIMIT_SECONDS)
    return row_of(entry, report)


def measured(entries: Sequence[Entry], seed: int, jobs: int) -> Iterator[Row]:
    """The rows in the order of the entries, `jobs` audits at a time, each in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="scorecard-") as folder:
        folders = [Path(folder) / entry.name for entry in entries]
        fresh = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max_workers=jobs, mp_context=fresh) as pool:
            yield from pool.map(partial(measure, seed=seed), entries, folders)


def read_all() -> list[Read]:
    """What the reading checks say of each mutant of documents and sources."""
    with tempfile.TemporaryDirectory(prefix="scorecard-") as folder:
        return [read(written, Path(folder) / written.name) for written in WRITTEN]


def row_of(entry: Entry, report: Report) -> Row:
    states: dict[str, State] = {}
    for finding in report.findings:
        known = states.get(finding.check, State.NOT_APPLICABLE)
        states[finding.check] = max(known, finding.state, key=_ORDER.index)
    spoken = tuple(
        f"{finding.check} {finding.state}: {finding.message}"
        for finding in report.findings
        if finding.state in (State.FAIL, State.WARN, State.ERROR, State.UNVERIFIED)
    )
    return Row(entry, states, report.verdict.call, spoken, report.seconds)


def matrix(rows: Sequence[Row]) -> str:
    """The Markdown table, with the reason under it for each row that is not as it should be."""
    others = sorted(
        {
            check
            for row in rows
            for check, state in row.states.items()
            if state in _MARKS and check not in PROBE_CHECKS
        }
    )
    columns = (*PROBE_CHECKS, *others)
    lines = [
        "| script | what it does | " + " | ".join(columns) + " | verdict |",
        "|---|---|" + "---|" * (len(columns) + 1),
    ]
    for row in rows:
        cells = [_MARKS.get(row.states.get(name, State.PASS), "") for name in columns]
        lines.append(f"| {row.entry.name} | {row.entry.what} | " + " | ".join(cells) + f" | {row.call} |")
    illegal = [row for row in rows if not row.entry.legal]
    legal = [row for row in rows if row.entry.legal]
    killed = sum(row.call is Call.NON_COMPLIANT for row in illegal)
    review = sum(row.call is Call.NEEDS_REVIEW for row in illegal)
    accused = sum(row.call is Call.NON_COMPLIANT for row in legal)
    passed = sum(row.call is Call.COMPLIANT for row in legal)
    lines += [
        "",
        f"Illegal: {killed} of {len(illegal)} NON_COMPLIANT, {review} NEEDS_REVIEW, "
        f"{len(illegal) - killed - review} COMPLIANT. "
        f"Legal: {passed} of {len(legal)} COMPLIANT, {accused} NON_COMPLIANT.",
    ]
    alive = [row for row in illegal if row.call is not Call.NON_COMPLIANT]
    if alive:
        lines += ["", "Not NON_COMPLIANT, and why:", ""]
        lines += [f"- `{row.entry.name}`: {row.entry.survives or row.wrong or 'no reason'}." for row in alive]
    return "\n".join(lines)


def write_between_markers(path: Path, text: str) -> None:
    """Replace what stands between the markers; raise ValueError when the file has none."""
    write_between(path, MARKER, text)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cheats.scorecard")
    parser.add_argument("--write", type=Path, help="write the table between the markers of this file")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="audit this entry alone; may be repeated"
    )
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        help="audits at a time (default: the number of cores)",
    )
    options = parser.parse_args(arguments)
    known = {entry.name for entry in ENTRIES}
    if unknown := set(options.only or ()) - known:
        parser.error(f"no entry {', '.join(sorted(unknown))}; there are: {', '.join(sorted(known))}")
    chosen = [entry for entry in ENTRIES if not options.only or entry.name in options.only]
    rows = []
    for row in measured(chosen, options.seed, options.jobs):
        rows.append(row)
        print(f"{row.call:14} {row.entry.name} ({row.seconds:.0f} s)", file=sys.stderr, flush=True)
        for message in row.messages:
            print(f"    {message[:260]}", file=sys.stderr)
    text = matrix(rows)
    others = [] if options.only else read_all()
    if others:
        text += "\n\nRead, not run:\n\n" + table(others)
    print(text)
    if options.write is not None:
        write_between_markers(options.write, text)
    wrong = [(row.entry.name, row.wrong) for row in rows if row.wrong]
    wrong += [(row.written.name, row.wrong) for row in others if row.wrong]
    for name, why in wrong:
        print(f"{name}: {why}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
