"""The report as data: everything that a reader, a renderer or a replay needs, and nothing computed later.

A `Report` is complete in itself: the text of each cited rule, the seed, every override and the digest of
every file travel with it, so that a report read years later says what it rested on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from verifier.finding import Finding, State
from verifier.seedrun import SeedRun
from verifier.submission import Origin
from verifier.verdict import Verdict

SCHEMA = "pgolf-verify/1"
"""Changes only with a change that a reader of the old form could misread."""


@dataclass(frozen=True)
class SubmissionInfo:
    path: str
    """As the user gave it, so that the replay line can be pasted; inside the repository for one from git."""
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
    author: str | None = None
    """As submission.json names it, like the date."""
    date: str | None = None
    git: Origin | None = None
    """Where in which repository it came from; None for a folder on disk."""


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
    device: str = "cpu"
    """`cpu`, or `cuda` where the submission ran on a real GPU."""
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
class Snippet:
    """The lines around a place that a finding names, from the opened text."""

    file: str
    line: int
    """Of the first of `lines`, from 1."""
    lines: tuple[str, ...]


@dataclass(frozen=True)
class FlipSeries:
    """What one redrawn block moved: in bins over the whole stream, and position by position around it."""

    run: str
    block: tuple[int, int]
    """First position that was redrawn, and the one after the last."""
    positions: int
    """Of the stream, position 0 included."""
    bin_tokens: int
    """Positions in each bin; the last may hold fewer."""
    before: tuple[int, ...]
    """Moved scores in each bin that lay before the block and were committed no later: none where C1 holds."""
    after: tuple[int, ...]
    """Moved scores in each bin that could know the block."""
    largest_nats: tuple[float, ...]
    """Largest absolute change in each bin."""
    near_start: int
    """Stream position of the first of `near_nats`."""
    near_nats: tuple[float | None, ...]
    """Change of each score around the block, flipped less unflipped; None where one of them has none."""


@dataclass(frozen=True)
class GainSeries:
    """How far the scores of one run have sunk under the entropy of its stream, summed along the stream."""

    run: str
    label: str
    threshold_bits: float
    """A sum at or above it proves a breach."""
    positions: tuple[int, ...]
    gain_bits: tuple[float | None, ...]
    """Over all positions up to this one, every deduction paid; None from the first score that is no number on."""


Span = tuple[int, int, int, int, int]
"""First and last event, lowest and highest stream position (both included), and how many events it stands for."""


@dataclass(frozen=True)
class Timeline:
    """What the base run did with validation data, in the order of its events."""

    label: str
    """The printed number whose commits are shown."""
    events: int
    positions: int
    reads: tuple[Span, ...]
    """Validation ids that went through the model."""
    commits: tuple[Span, ...]
    """Scores as they were fixed."""
    updates: tuple[tuple[int, int, int], ...]
    """Optimizer steps on validation losses: first and last event, and how many."""


@dataclass(frozen=True)
class Series:
    """What the pictures draw, as bounded arrays, so that a report can be drawn again without a run."""

    flips: tuple[FlipSeries, ...] = ()
    gains: tuple[GainSeries, ...] = ()
    timeline: Timeline | None = None


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
    snippets: tuple[Snippet, ...] = ()
    series: Series | None = None
    """None where no probe gave a number."""
    seed_runs: tuple[SeedRun, ...] = ()
    """The runs behind the claim, by their logs."""
    techniques: tuple[str, ...] = ()
    """What the live source names; empty where none was read."""

    @property
    def counts(self) -> dict[State, int]:
        """How many findings are in each state; states that none is in are left out."""
        tally = Counter(finding.state for finding in self.findings)
        return {state: tally[state] for state in State if tally[state]}

    def in_state(self, *states: State) -> tuple[Finding, ...]:
        """The findings in these states: by state in the order given, then in the order of the report."""
        return tuple(finding for state in states for finding in self.findings if finding.state is state)
