"""The report as data: everything that a reader, a renderer or a replay needs, and nothing computed later.

A `Report` is complete in itself: the text of each cited rule, the seed, every override and the digest of
every file travel with it, so that a report read years later says what it rested on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from verifier.finding import Finding, State
from verifier.verdict import Verdict

SCHEMA = "pgolf-verify/1"
"""Changes only with a change that a reader of the old form could misread."""


@dataclass(frozen=True)
class SubmissionInfo:
    path: str
    """As the user gave it, so that the replay line can be pasted."""
    name: str
    script: str | None = None
    """Relative to the folder; None when the folder has no training script."""
    sha256: str | None = None
    """Of the script as shipped."""
    payload_sha256: str | None = None
    """Of the program text that runs, after opening a wrapper."""
    wrapper: str | None = None
    """How the script was packed, outermost first; None for plain text."""
    track: str = "unknown"


@dataclass(frozen=True)
class LoggedBpb:
    """The number that one log gives for the claimed metric."""

    val_bpb: float
    seed: int | None
    file: str
    line: int


@dataclass(frozen=True)
class Measured:
    """What the script reported when the verifier ran it; at audit scale no rival of the claim."""

    scale: str
    """`audit…` (tiny model, synthetic stream) or `full` (official data and configuration)."""
    label: str
    """The script's own words for the number."""
    val_loss_nats: float | None
    val_bpb: float | None


@dataclass(frozen=True)
class Bpb:
    claimed: float | None = None
    claimed_key: str | None = None
    """The JSON path in submission.json that the claim came from."""
    logged: tuple[LoggedBpb, ...] = ()
    measured: Measured | None = None

    @property
    def logged_mean(self) -> float | None:
        return sum(each.val_bpb for each in self.logged) / len(self.logged) if self.logged else None


@dataclass(frozen=True)
class RuleText:
    """A rule that a finding cites, as its edition words it."""

    id: str
    title: str
    text: str
    status: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Override:
    """One environment variable that a probe set."""

    name: str
    value: str
    why: str
    """`command` (the documented run command), `claim` (a switch that the claim implies), `scaled` (a size made
    smaller) or `path`."""


@dataclass(frozen=True)
class Substitution:
    """A library call that ran as a CPU or reference stand-in, and how often."""

    name: str
    count: int


@dataclass(frozen=True)
class Run:
    """One execution of the submission in the sandbox."""

    name: str
    seconds: float
    status: str
    """`finished`, `raised`, `exit`, or the limit that ended it."""
    reason: str = ""
    """One line on why it did not finish; empty when it did."""
    reported: Mapping[str, float | None] = field(default_factory=dict)
    """The numbers that the script printed, by their own labels."""


@dataclass(frozen=True)
class RunInfo:
    """What was run, with what, and inside which walls."""

    level: str
    """`documents` (nothing is executed) or `probes`."""
    seeds: tuple[int, ...] = ()
    """Of the synthetic streams; drawn fresh for each audit unless the user gave one."""
    not_run: str | None = None
    """Why probes were wanted and did not run."""
    environment: tuple[Override, ...] = ()
    substitutions: tuple[Substitution, ...] = ()
    isolation: Mapping[str, str] = field(default_factory=dict)
    """Each wall that was in force (`network`, `memory`), or why it was not."""
    runs: tuple[Run, ...] = ()


@dataclass(frozen=True)
class FileDigest:
    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Platform:
    python: str
    torch: str | None
    machine: str
    cpus: int


@dataclass(frozen=True)
class Report:
    tool_version: str
    rule_edition: str
    submission: SubmissionInfo
    verdict: Verdict
    bpb: Bpb
    findings: tuple[Finding, ...]
    run: RunInfo
    platform: Platform
    seconds: float
    rules: tuple[RuleText, ...] = ()
    """The cited rules only, in id order."""
    legal: Mapping[str, str] = field(default_factory=dict)
    """For each check that FAILed, the legal way to do it, from the check's page."""
    files: tuple[FileDigest, ...] = ()

    @property
    def counts(self) -> dict[State, int]:
        """How many findings are in each state; states that none is in are left out."""
        tally = Counter(finding.state for finding in self.findings)
        return {state: tally[state] for state in State if tally[state]}

    def in_state(self, *states: State) -> tuple[Finding, ...]:
        """The findings in these states: by state in the order given, then in the order of the report."""
        return tuple(finding for state in states for finding in self.findings if finding.state is state)
