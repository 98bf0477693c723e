"""Words that every renderer shares: numbers, evidence lines, replay commands, and text made safe to show.

Messages quote submissions, so any string may hold terminal escapes, bidirectional overrides or
line breaks. `clean` is applied to all of them before they are shown.
"""

from __future__ import annotations

import math
import shlex
import unicodedata

from verifier.finding import Finding, State
from verifier.report.model import Measured, Report
from verifier.submission import Origin

SAVED_REPORT = "report.json"
"""The file name that `--output` writes, and that replay lines name unless told another."""
EVIDENCE_SHOWN = 6
"""Scalars of one finding on its evidence line; the JSON report has them all."""
LONGEST_EVIDENCE_TEXT = 60

HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that change what a reader sees without being seen themselves."""

ATTENTION = (State.ERROR, State.WARN, State.UNRULED, State.UNVERIFIED)
"""What a reviewer reads after the FAILs, in this order."""


def clean(text: str) -> str:
    """One line of visible characters: white space is one blank, and what hides is written as an escape."""
    shown = [
        f"\\u{ord(char):04x}" if unicodedata.category(char) in HIDDEN_CATEGORIES else char
        for char in " ".join(text.split())
    ]
    return "".join(shown)


def number(value: float) -> str:
    """`31,844` for whole numbers, six significant digits for the rest."""
    if isinstance(value, int) and abs(value) >= 10**30:
        return f"{'-' if value < 0 else ''}about 10^{math.log10(abs(value)):.0f}"
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:.6g}"


def bpb_number(value: float | None) -> str:
    """Bits per byte as the contest prints them: up to five decimals, no false precision."""
    return "none" if value is None or not math.isfinite(value) else f"{value:.5f}".rstrip("0").rstrip(".")


def evidence_line(finding: Finding) -> list[str]:
    """The scalars of the evidence, each `name value`; structures stay in the JSON report."""
    shown: list[str] = []
    for name, value in finding.evidence.items():
        if isinstance(value, bool):
            text = "yes" if value else "no"
        elif isinstance(value, int | float):
            text = number(value)
        elif isinstance(value, str) and "\n" not in value and 0 < len(value) <= LONGEST_EVIDENCE_TEXT:
            text = clean(value)
        else:
            continue
        shown.append(f"{clean(name)} {text}")
    return shown[:EVIDENCE_SHOWN]


def replay_command(finding: Finding, saved_as: str = SAVED_REPORT) -> str | None:
    """The command that reruns the counterexample from a saved report; None where nothing can be rerun."""
    if not finding.replayable:
        return None
    return f"pgolf-verify replay {shlex.quote(clean(saved_as))} --finding {finding.check}"


def again_command(report: Report, folder: str) -> str | None:
    """The command that repeats the audit with the same streams, for readers without the report file."""
    if not report.run.seeds:
        return None
    git = report.submission.git
    what = shlex.quote(clean(folder)) if git is None else git_options(git)
    return f"pgolf-verify {what} --seed {report.run.seeds[0]}"


def origin_words(origin: Origin) -> str:
    """`#1430 at 13acc8545800`."""
    named = "" if origin.pr is None else f"#{origin.pr} "
    return f"{named}at {origin.sha[:12]}"


def git_options(origin: Origin) -> str:
    """The options that name a submission in a repository, to paste."""
    named = () if origin.pr is None else ("--pr", str(origin.pr))
    words = ("--git", origin.repository, *named, "--sha", origin.sha, "--folder", origin.folder or ".")
    return " ".join(shlex.quote(clean(word)) for word in words)


def measured_words(measured: Measured) -> str:
    scale = "tiny model, synthetic stream" if measured.scale.startswith("audit") else "official configuration"
    loss = "" if measured.val_loss_nats is None else f", val_loss {measured.val_loss_nats:.6g} nats"
    return f"{clean(measured.label)}{loss}; {clean(measured.scale)} scale: {scale}"


def counts_line(report: Report) -> str:
    """`1 FAIL · 2 WARN · 8 PASS`, worst first."""
    order = (State.FAIL, *ATTENTION, State.PASS, State.NOT_APPLICABLE)
    counts = report.counts
    return " · ".join(f"{counts[state]} {state}" for state in order if state in counts) or "no findings"


def run_line(report: Report) -> str:
    """Level, seed, executions and time: what was done to get here."""
    run = report.run
    parts = [f"level {clean(run.level)}"]
    if run.seeds:
        parts.append("seed " + " ".join(str(seed) for seed in run.seeds))
    if run.runs:
        parts.append(f"{len(run.runs)} sandboxed run" + ("s" if len(run.runs) > 1 else ""))
    return " · ".join([*parts, f"{report.seconds:.1f} s"])


def missing_evidence(report: Report) -> tuple[str, ...]:
    """Requirements that nothing met, as `decide` words them."""
    return tuple(
        f"{reason.check}: {reason.text}"
        for reason in report.verdict.reasons
        if reason.state is State.UNVERIFIED
    )
