"""Audit real pull requests of openai/parameter-golf and print the verdicts as a Markdown table.

    python -m benchmarks.real_submissions --repo CLONE [--only 1430,549] [--reports DIR] [--write README.md]

CLONE is a clone with the pull-request heads (`git fetch origin 'refs/pull/*/head:refs/pull/*/head'`), bare
or not. Each folder is extracted as it is, audited with the defaults of `pgolf-verify`, and removed.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from verifier.audit import audit
from verifier.finding import Finding, State
from verifier.report.json import render_json
from verifier.report.markers import write_between

RECORDS = "records/track_10min_16mb"
MERGED, COUNTED, ANY = "not NON_COMPLIANT, probes reconciled", "NON_COMPLIANT", "not NON_COMPLIANT"


@dataclass(frozen=True)
class Entry:
    """One folder of one commit, and what the audit must say of it."""

    name: str
    ref: str
    folder: str
    expected: str


ENTRIES = (
    Entry("NaiveBaseline", "HEAD", "2026-03-17_NaiveBaseline", MERGED),
    Entry("SlidingWindowEval", "HEAD", "2026-03-19_SlidingWindowEval", MERGED),
    Entry("LoRA_TTT (#77)", "HEAD", "2026-03-17_LoRA_TTT", MERGED),
    Entry("#549", "HEAD", "2026-03-23_LeakyReLU_LegalTTT_ParallelMuon", MERGED),
    Entry("#1019", "HEAD", "2026-03-25_ValCalib_GPTQ_XSA_BigramHash3072", MERGED),
    Entry("2026-04-09 (packed)", "HEAD", "2026-04-09_SP8192_3LayerRecur_ParResid_QK525_LegalTTT", MERGED),
    Entry("2026-04-27", "HEAD", "2026-04-27_SP8192_LQER_SparseGate_BOSSmearFix_9HpStack_1.0611", MERGED),
    Entry(
        "#1430",
        "refs/pull/1430/head",
        "2026-04-07_PerSample_SLOT_NgramOrder22_AlphaCenter25_TTT_AdamW24step_2ndPass10_LR432_BSZ128",
        COUNTED,
    ),
    Entry("#1229", "refs/pull/1229/head", "2026-04-01_ScoredPos-SLOT-PerSample-GPTQ-QKGain_0.9300", COUNTED),
    Entry("#1350", "refs/pull/1350/head", "2026-04-04_LBFGS-CausalSLOT_1.0046", COUNTED),
    Entry("#1376", "refs/pull/1376/head", "2026-04-05_SLOT24_PreQuantTTT_0.7094", COUNTED),
    Entry("#1488", "refs/pull/1488/head", "2026-04-09_SP1024_SLOT24_QK525_PreQuantTTT10", COUNTED),
    Entry("#659", "refs/pull/659/head", "2026-03-24_5gram_LeakyReLU_ParallelMuon", COUNTED),
    Entry("#1176", "refs/pull/1176/head", "2026-03-31_QKGain4_XSA11_TTT_SLOT", COUNTED),
    Entry("#1734", "refs/pull/1734/head", "2026-04-19_GatedDeltaNet_MacroPhase_Brotli_LegalTTT", COUNTED),
    Entry("#1698", "refs/pull/1698/head", "2026-04-18_GatedDeltaNet_FLA_LegalTTT", COUNTED),
    Entry(
        "#1809",
        "refs/pull/1809/head",
        "2026-04-24_SP8192_GramNS_PolarExpress_3LayerRecur_ParResid_QK525_LegalTTT",
        COUNTED,
    ),
    Entry("#1458", "refs/pull/1458/head", "2026-04-07_Midnight_12L_8xH100", ANY),
)


def extract(repo: Path, entry: Entry, into: Path) -> Path:
    """The folder of `entry` as a tree of files below `into`."""
    path = f"{RECORDS}/{entry.folder}"
    command = ["git", "-C", str(repo), "archive", entry.ref, path]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{entry.name}: {' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(into, filter="data")
    return into / path


def as_expected(entry: Entry, verdict: str, findings: tuple[Finding, ...]) -> bool:
    if entry.expected == COUNTED:
        return verdict == "NON_COMPLIANT"
    ledger = any(each.check == "C4-ledger" and each.state is State.PASS for each in findings)
    return verdict != "NON_COMPLIANT" and (ledger or entry.expected == ANY)


def row(entry: Entry, verdict: str, seconds: float, findings: tuple[Finding, ...]) -> str:
    failures = [f"{each.check}: {each.message}" for each in findings if each.state is State.FAIL]
    shown = failures or [f"{each.check}: {each.message}" for each in findings if each.check == "E1-floor"]
    mark = "yes" if as_expected(entry, verdict, findings) else "**no**"
    text = "<br>".join(message.replace("|", "\\|") for message in shown)
    return f"| {entry.name} | {verdict} | {mark} | {seconds:.0f} | {text} |"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repo", type=Path, required=True)
    parser.add_argument("--only", default="", help="comma-separated parts of names")
    parser.add_argument("--reports", type=Path, help="keep the JSON reports here")
    parser.add_argument(
        "--time-limit", type=float, default=170.0, help="seconds for the probes of each audit"
    )
    parser.add_argument("--seed", type=int, help="the seed of every audit; drawn afresh by default")
    parser.add_argument("--write", type=Path, help="put the table between the markers of this file")
    chosen = parser.parse_args()
    wanted = [part for part in chosen.only.split(",") if part]
    lines = ["| submission | verdict | as expected | seconds | evidence |", "|---|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    wrong = 0
    for entry in ENTRIES:
        if wanted and not any(part in f"{entry.name} {entry.folder}" for part in wanted):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            folder = extract(chosen.repo, entry, Path(scratch))
            started = time.monotonic()
            report = audit(
                folder,
                seed=chosen.seed,
                time_limit_seconds=chosen.time_limit,
                progress=lambda text: print(text, file=sys.stderr),
            )
            seconds = time.monotonic() - started
        verdict = str(report.verdict.call)
        lines.append(row(entry, verdict, seconds, report.findings))
        print(lines[-1], flush=True)
        wrong += not as_expected(entry, verdict, report.findings)
        if chosen.reports:
            chosen.reports.mkdir(parents=True, exist_ok=True)
            name = "".join(c if c.isalnum() else "-" for c in entry.name).strip("-")
            (chosen.reports / f"{name}.json").write_text(render_json(report, f"{name}.json"))
    print(json.dumps({"not as expected": wrong}), file=sys.stderr)
    if chosen.write:
        write_between(chosen.write, "real submissions", "\n".join(lines))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
