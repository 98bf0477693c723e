"""A submission folder as data: what the author shipped and what the author claims.

`verifier.intake.load_submission(folder)` reads a folder into a `Submission`. Nothing here is
executed and nothing the author asserts about compliance is believed; problems met while reading
become `Problem`s, which the packaging check turns into findings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from verifier.finding import Where


class Track(StrEnum):
    """The contest's tracks, read from submission.json or, failing that, from the folder's path."""

    TEN_MINUTES = "10min_16mb"
    NON_RECORD = "non_record_16mb"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Problem:
    """Something wrong with the folder itself: what was found, what was expected, what to do."""

    code: str
    """Stable short name, e.g. `json-syntax`, `no-script`, `two-scripts`, `log-encoding`."""
    message: str
    where: Where | None = None
    fatal: bool = False
    """True when no probe can run because of it (no script, a script that does not parse)."""


@dataclass(frozen=True)
class ShippedFile:
    path: str
    """POSIX path relative to the folder."""
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Script:
    """The training script, opened if it came packed. Opening never executes it."""

    path: str
    size_bytes: int
    sha256: str
    """Of the file as shipped."""
    source: str
    """The program text that would run: the decoded payload of a wrapper, else the file's text."""
    payload_sha256: str
    """Of `source` encoded as UTF-8."""
    wrapper: str | None = None
    """How it was packed, outermost first, e.g. `lzma_raw2+b85`; None for plain text."""
    grammar: str = "3.11"
    """The lowest Python grammar that parses `source`: `3.11`, `3.12` (PEP 701) or `none`."""
    siblings: tuple[str, ...] = ()
    """Other Python, C or text files in the folder that the script imports, builds or reads."""


@dataclass(frozen=True)
class SeedClaim:
    """One seed's row of submission.json. A field is None where the dialect does not carry it."""

    seed: int | None
    val_bpb: float | None = None
    val_loss: float | None = None
    artifact_bytes: int | None = None
    train_seconds: float | None = None
    eval_seconds: float | None = None


@dataclass(frozen=True)
class Claim:
    """What submission.json says. `key` is the JSON path that the headline number came from."""

    val_bpb: float | None = None
    val_loss: float | None = None
    key: str | None = None
    seeds: tuple[SeedClaim, ...] = ()
    bytes_total: int | None = None
    bytes_code: int | None = None
    eval_seconds: float | None = None
    """The file's own figure for the whole evaluation, apart from its seeds' rows."""
    blurb: str = ""
    """Name, blurb, notes and other prose of the file, one paragraph each: what the author says it is."""
    name: str | None = None
    author: str | None = None
    date: str | None = None
    where: Where | None = None
    recovered: bool = False
    """True when the file is not valid JSON and the fields were picked out of the broken text."""


@dataclass(frozen=True)
class Metric:
    """One logged pair of loss and bits per byte. Either may be missing on a line."""

    label: str
    """The text before the numbers, normalised: lower case, trailing `_exact` kept."""
    val_loss: float | None
    """Nats per token."""
    val_bpb: float | None
    loss_digits: int
    """Decimal digits printed after the point (rounding is half a unit of the last one)."""
    bpb_digits: int
    line: int
    final: bool
    """False for trajectory lines (`step:5/20000 …`, running chunks), True for results."""
    eval_ms: float | None = None


@dataclass(frozen=True)
class LoggedSize:
    """One logged byte count, e.g. `Total submission size int8+zlib: 15,863,489 bytes`."""

    kind: str
    """`total`, `model` or `code`."""
    label: str
    """The codec between kind and colon, e.g. `int8+zlib`; empty for the raw checkpoint."""
    size_bytes: int
    line: int


@dataclass(frozen=True)
class LoggedLine:
    """One line of a log that a check quotes."""

    text: str
    line: int


@dataclass(frozen=True)
class Log:
    """One run's log. Optional fields are None when the log does not say."""

    path: str
    sha256: str
    encoding: str
    seed: int | None = None
    seed_from_name: bool = False
    """True when the log does not print its seed and the file's name does."""
    metrics: tuple[Metric, ...] = ()
    sizes: tuple[LoggedSize, ...] = ()
    train_ms: float | None = None
    """The last training time: of the stop line if there is one, else of the last step line."""
    train_line: int | None = None
    train_rounding_ms: float = 0.0
    """Half a unit of the last printed digit of `train_ms`: 3,000 where the log prints `9.8m`."""
    stop_line: int | None = None
    """The `stopping_early` line; None when training ran to its last step."""
    calibration_seconds: float | None = None
    """Data-touching calibration after the step loop (`collected N Hessians in 3.4s`)."""
    calibration_line: int | None = None
    calibration_source: str | None = None
    """`val`, `train`, `self-generated` or None, from the log's own words."""
    late_calibration: tuple[LoggedLine, ...] = ()
    """Lines that speak of calibration on data and stand after the stop line of their run."""
    stored_targets: LoggedLine | None = None
    """The line that says how many validation tokens the artifact stores (`paid_prefix … tokens`)."""
    train_data: LoggedLine | None = None
    """The line that names the training set (`train_loader:dataset:NAME`), or its file pattern."""
    eval_seconds_total: float | None = None
    """From a `total_eval_time` line."""
    eval_line: int | None = None
    world_size: int | None = None
    val_tokens: int | None = None
    train_shards: int | None = None
    tokenizer_path: str | None = None
    vocab_size: int | None = None
    max_wallclock_seconds: float | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment assignments that the log shows the run was started with."""
    source_sha256: str | None = None
    """Of a source listing embedded in the log, when one can be cut out exactly."""
    source: str | None = field(default=None, repr=False)
    """That listing: the program that the log says was run, to compare with the shipped script."""


@dataclass(frozen=True)
class RunCommand:
    """The documented way to run it: the environment that README, run scripts and logs agree on."""

    env: Mapping[str, str] = field(default_factory=dict)
    argv: tuple[str, ...] = ()
    where: tuple[Where, ...] = ()
    """Where each part was found, strongest source first."""
    conflicts: tuple[str, ...] = ()
    """Variables for which sources disagree, in words."""
    dropped: tuple[str, ...] = ()
    """Variables that a source sets but the script never reads, in words."""


@dataclass(frozen=True)
class Origin:
    """Where an audited folder came from, enough to get it again."""

    repository: str
    """As the user gave it."""
    pr: int | None
    sha: str
    folder: str
    """Inside the repository; empty for the root."""
    script: str | None = None
    """The training script's path, where it lies outside the folder."""
    others: tuple[str, ...] = ()
    """Other folders of the pull request that look like submissions."""
    missing: tuple[str, ...] = ()
    """Files of the folder that the repository lacks (a partial clone) or that were over the limits."""


@dataclass(frozen=True)
class Submission:
    root: Path
    name: str
    track: Track
    files: tuple[ShippedFile, ...]
    script: Script | None
    claim: Claim
    logs: tuple[Log, ...]
    command: RunCommand
    readme: str | None
    problems: tuple[Problem, ...] = ()

    @property
    def head_metric_label(self) -> str | None:
        """The logged label whose value is the claim, else the last final label of the first log."""
        finals = [metric for log in self.logs for metric in log.metrics if metric.final and metric.val_bpb]
        if not finals:
            return None
        if self.claim.val_bpb is not None:
            targets = [self.claim.val_bpb, *(s.val_bpb for s in self.claim.seeds if s.val_bpb is not None)]
            best = min(finals, key=lambda m: min(abs((m.val_bpb or 0.0) - t) for t in targets))
            if min(abs((best.val_bpb or 0.0) - t) for t in targets) < 1e-3:
                return best.label
        return finals[-1].label
