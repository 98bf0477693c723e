"""One audit, end to end: read the folder, run the probes, run the checks, decide, report.

This is the only module that knows all the parts; each of them works without it. A probe runner that
raises costs the probes and not the audit: it becomes an ERROR finding with its traceback.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
import sys
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from verifier import __version__
from verifier.checks import load_checks, run_checks
from verifier.evidence import Evidence
from verifier.finding import Finding, Grade, State
from verifier.probe.device import Device
from verifier.report.model import (
    Bpb,
    FileDigest,
    LoggedBpb,
    Measured,
    Override,
    Platform,
    Report,
    RuleText,
    Run,
    RunInfo,
    Series,
    SubmissionInfo,
    Substitution,
)
from verifier.report.snippet import cut_snippets
from verifier.seedrun import seed_runs
from verifier.stage import Progress, Stage, unheard
from verifier.submission import Origin, Submission
from verifier.techniques import techniques
from verifier.verdict import decide

if TYPE_CHECKING:
    from verifier.intake.checkout import Checkout
    from verifier.probe.passes import Pass
    from verifier.probe.record import ProbeRecord

SEED_BITS = 63
"""A fresh seed fits a signed 64-bit integer; no submission can guess which of its streams it will get."""
DEFAULT_TIME_LIMIT_SECONDS = 170.0
PROBE_CHECK = "P0-probe-runner"
"""The id of the one finding that no check makes: the probe runner itself raised."""
LEGAL_CONTRAST = re.compile(r"Legal contrast:\s*(.+?)(?:\n\s*\n|\Z)", re.DOTALL)
"""How a check's page names the legal way."""


class Level(StrEnum):
    """How far an audit goes; each level does all of the ones before it.

    Documents alone can show a breach, and source that is only read can only warn; neither can show compliance.
    """

    DOCUMENTS = "documents"
    STATIC = "static"
    PROBES = "probes"


@dataclass(frozen=True)
class ProbeDescription:
    """What a probe record says about itself, in the report's terms."""

    run: RunInfo
    measured: Measured | None = None
    series: Series | None = None


@dataclass(frozen=True)
class _Probed:
    """The outcome of asking for probes: a record, or why there is none."""

    record: ProbeRecord | None = None
    not_run: str | None = None
    findings: tuple[Finding, ...] = ()


def audit(
    folder: Path,
    *,
    level: Level = Level.PROBES,
    seed: int | None = None,
    device: Device = Device.CPU,
    time_limit_seconds: float = DEFAULT_TIME_LIMIT_SECONDS,
    decode_tokens: int = 0,
    progress: Progress = unheard,
    checkout: Checkout | None = None,
) -> Report:
    """Audit a submission folder. Raises `verifier.intake.IntakeError` when there is no folder to read.

    With `decode_tokens`, the probes end with a decode proof of so many tokens, within a time limit of its own.
    `checkout` says how the folder came out of a git repository: its problems are the submission's too.
    """
    started = time.monotonic()
    progress(Stage("reading the folder"))
    submission = read_folder(folder)
    if checkout is not None:
        submission = replace(submission, problems=(*submission.problems, *checkout.problems))
    probed = _Probed()
    if level is Level.PROBES:
        stream_seed = secrets.randbits(SEED_BITS) if seed is None else seed
        left_seconds = time_limit_seconds - (time.monotonic() - started)
        probed = _run_probes(submission, stream_seed, left_seconds, device, decode_tokens, progress)
    progress(Stage("checking"))
    checks = [
        each for each in load_checks() if each.grade is not Grade.STATIC or level is not Level.DOCUMENTS
    ]
    evidence = Evidence(submission, probed.record)
    findings = (*run_checks(evidence, checks), *probed.findings)
    description = (
        ProbeDescription(RunInfo(level=level, not_run=probed.not_run))
        if probed.record is None
        else describe_probes(probed.record)
    )
    return Report(
        tool_version=__version__,
        rule_edition=edition_name(),
        submission=describe_submission(submission, folder, None if checkout is None else checkout.origin),
        verdict=decide(findings),
        bpb=describe_bpb(submission, description.measured),
        findings=findings,
        run=description.run,
        platform=describe_platform(),
        seconds=time.monotonic() - started,
        rules=cited_rules(findings),
        legal=legal_contrasts(findings),
        files=tuple(FileDigest(file.path, file.size_bytes, file.sha256) for file in submission.files),
        snippets=cut_snippets(submission, findings),
        series=description.series,
        seed_runs=seed_runs(submission),
        techniques=() if level is Level.DOCUMENTS else techniques(evidence.source),
    )


# ---- the other parts, each behind one function --------------------------------------------------


def read_folder(folder: Path) -> Submission:
    from verifier.intake import load_submission

    return load_submission(folder)


def probe(
    submission: Submission,
    seed: int,
    time_limit_seconds: float,
    device: Device,
    decode_tokens: int,
    progress: Progress,
) -> ProbeRecord:
    """Run the probes. Imported here, so that `--level documents` needs none of it."""
    from verifier.probe import run_probes

    record: ProbeRecord = run_probes(
        submission,
        seed=seed,
        time_limit_seconds=time_limit_seconds,
        device=device,
        decode_tokens=decode_tokens,
        progress=progress,
    )
    return record


def describe_probes(record: ProbeRecord) -> ProbeDescription:
    """The one place that reads a probe record for the report; checks read it for themselves."""
    from verifier.report.series import series_of

    measured = record.measured
    return ProbeDescription(
        run=RunInfo(
            level=Level.PROBES,
            device=str(record.device),
            seeds=(record.seed,),
            not_run="; ".join(record.attempts) or "no run gave a number" if record.base is None else None,
            environment=tuple(Override(each.name, each.value, each.why) for each in record.settings),
            substitutions=tuple(Substitution(name, count) for name, count in record.substitutions.items()),
            isolation=dict(record.isolation),
            runs=tuple(
                Run(each.name, each.seconds, each.status, each.reason, _reported(each.passes))
                for each in record.runs
            ),
        ),
        measured=None
        if measured is None
        else Measured(measured.scale, measured.label, measured.val_loss_nats, measured.val_bpb),
        series=series_of(record),
    )


def _reported(passes: Iterable[Pass]) -> dict[str, float | None]:
    """The last number printed under each label of a run."""
    numbers: dict[str, float | None] = {}
    for each in passes:
        numbers[f"{each.label} val_loss"] = each.loss_nats
        if each.val_bpb is not None:
            numbers[f"{each.label} val_bpb"] = each.val_bpb
    return numbers


def edition_name(edition: str | None = None) -> str:
    from verifier.rules import load_edition

    return load_edition(edition).name


def all_rules(edition: str | None = None) -> tuple[RuleText, ...]:
    """The rules of an edition, in its order; of the newest when none is named."""
    from verifier.rules import load_edition

    return tuple(
        RuleText(rule.id, rule.title, rule.text, " ".join(rule.status), rule.sources)
        for rule in load_edition(edition).rules
    )


def cited_rules(findings: Iterable[Finding]) -> tuple[RuleText, ...]:
    """The rules that the findings cite, in the edition's order."""
    cited = {rule for finding in findings for rule in finding.rules}
    return tuple(rule for rule in all_rules() if rule.id in cited)


# ---- descriptions -------------------------------------------------------------------------------


def describe_submission(submission: Submission, folder: Path, origin: Origin | None = None) -> SubmissionInfo:
    script = submission.script
    return SubmissionInfo(
        path=str(folder) if origin is None else origin.folder or ".",
        name=submission.name,
        script=None if script is None else script.path,
        sha256=None if script is None else script.sha256,
        payload_sha256=None if script is None else script.payload_sha256,
        wrapper=None if script is None else script.wrapper,
        track=str(submission.track),
        author=submission.claim.author,
        date=submission.claim.date,
        git=origin,
    )


def describe_bpb(submission: Submission, measured: Measured | None) -> Bpb:
    """Claimed, logged and measured. `logged` is the last final line of the claimed metric in each log."""
    label = submission.head_metric_label
    logged: list[LoggedBpb] = []
    for log in submission.logs:
        lines = [
            each for each in log.metrics if each.final and each.label == label and each.val_bpb is not None
        ]
        if lines and lines[-1].val_bpb is not None:
            logged.append(LoggedBpb(lines[-1].val_bpb, log.seed, log.path, lines[-1].line))
    return Bpb(submission.claim.val_bpb, submission.claim.key, tuple(logged), measured)


def describe_platform() -> Platform:
    return Platform(
        python=platform.python_version(),
        torch=installed_version("torch"),
        machine=platform.machine(),
        cpus=len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1,
    )


@cache
def installed_version(package: str) -> str | None:
    """Of a package, without importing it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def legal_contrasts(findings: Sequence[Finding]) -> dict[str, str]:
    """For each check that FAILed, the `Legal contrast:` of its page."""
    failed = {finding.check for finding in findings if finding.state is State.FAIL}
    pages = {check.id: check.page for check in load_checks() if check.id in failed}
    found = {id: LEGAL_CONTRAST.search(page) for id, page in pages.items()}
    return {id: " ".join(match.group(1).split()) for id, match in found.items() if match}


# ---- probes -------------------------------------------------------------------------------------


def _run_probes(
    submission: Submission,
    seed: int,
    time_limit_seconds: float,
    device: Device,
    decode_tokens: int,
    progress: Progress,
) -> _Probed:
    fatal = [problem.message for problem in submission.problems if problem.fatal]
    if submission.script is None or fatal:
        return _Probed(not_run=fatal[0] if fatal else "the folder has no training script")
    progress(Stage("running the probes"))
    try:
        return _Probed(probe(submission, seed, time_limit_seconds, device, decode_tokens, progress))
    except Exception as error:
        why = f"the probe runner raised {type(error).__name__}: {error}"
        finding = Finding(
            check=PROBE_CHECK,
            title="the probes ran",
            rules=(),
            state=State.ERROR,
            grade=Grade.PROBED,
            message=why,
            evidence={"traceback": traceback.format_exc(), "seed": seed},
            try_next="this is a bug of pgolf-verify: please report it with the JSON report",
        )
        return _Probed(not_run=why, findings=(finding,))
