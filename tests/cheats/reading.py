"""Mutants that are audited without running anything, and the table of what the reading checks say of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.cheats.corpus import Entry, write_folder
from tests.cheats.documents import DOCUMENTS
from tests.cheats.mutants import ILLEGAL
from tests.cheats.sources import SOURCES
from verifier.audit import Level, audit
from verifier.finding import State

SAYS = (State.FAIL, State.WARN)


@dataclass(frozen=True)
class Written:
    """A folder to write, and the check that must speak on it."""

    name: str
    what: str
    write: Callable[[Path], Path]
    caught_by: str
    state: State
    source: str


@dataclass(frozen=True)
class Read:
    """What the reading checks said of one folder."""

    written: Written
    states: dict[str, State]
    """Of each check that failed or warned, the worst."""

    @property
    def wrong(self) -> str | None:
        """Why this row fails the scorecard, when it does."""
        said = self.states.get(self.written.caught_by)
        if said is self.written.state:
            return None
        return f"{self.written.caught_by} was to say {self.written.state}, and said {said or 'nothing'}"


def _of_source(entry: Entry) -> Written:
    # A static match alone proves nothing, so a warning is all that a static check says.
    return Written(
        entry.name,
        entry.what,
        lambda folder: write_folder(folder, entry.script()),
        entry.caught_by or "",
        State.WARN,
        entry.source,
    )


STATIC_TOO = {
    "class-gate": "X02-target-blend",
    "least-of-overlapping-windows": "X03-least-loss",
    "slot-scored-window": "X04-scored-offset",
    "prequant-ttt": "X05-adapt-first",
}
"""Mutants that run, and the check that must see them in the source already."""
WRITTEN = (
    *(Written(d.name, d.what, d.write, d.caught_by, d.state, d.source) for d in DOCUMENTS),
    *(_of_source(replace(e, caught_by=STATIC_TOO[e.name])) for e in ILLEGAL if e.name in STATIC_TOO),
    *map(_of_source, SOURCES),
)


def read(written: Written, folder: Path) -> Read:
    """Audit one of them in `folder`, which must not exist yet."""
    report = audit(written.write(folder), level=Level.STATIC)
    said = [finding for finding in report.findings if finding.state in SAYS]
    worst = sorted(said, key=lambda finding: SAYS.index(finding.state), reverse=True)
    return Read(written, {finding.check: finding.state for finding in worst})


def table(rows: Sequence[Read]) -> str:
    """Markdown: one line for each mutant."""
    lines = ["| folder | what it does | says |", "|---|---|---|"]
    for row in rows:
        said = ", ".join(
            f"{check} **FAIL**" if state is State.FAIL else f"{check} {state}"
            for check, state in sorted(row.states.items(), key=lambda item: (SAYS.index(item[1]), item[0]))
        )
        lines.append(f"| {row.written.name} | {row.written.what} | {said} |")
    return "\n".join(lines)
