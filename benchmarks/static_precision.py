"""How often each static check marks legal submissions, and how often those that break the rule it reads for.

    python benchmarks/static_precision.py INDEX_OR_FOLDERS LABELS.jsonl

The first argument is a folder that holds one submission folder per pull request, named by number, or a JSONL
index whose rows have `pr` and `folder`. LABELS has one JSON object a line: `pr`, `label` (legal, illegal,
disputed), `confidence` (high, medium, low) and `violations`. Legal rows of high and medium confidence that a
check marks are listed by number, for reading. Also printed: CPU seconds of all static checks for a script.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from verifier.checks import load_checks, run_checks
from verifier.evidence import Evidence
from verifier.finding import Grade, State
from verifier.intake import IntakeError, load_submission

FITTING: dict[str, tuple[str, ...]] = {
    "X01-target-key": ("C1_causality", "C2_normalization", "C4_single_pass"),
    "X02-target-blend": ("C1_causality", "C2_normalization", "C4_single_pass"),
    "X03-least-loss": ("C1_causality", "C2_normalization", "C4_single_pass"),
    "X04-scored-offset": ("C1_causality", "C3_score_before_update"),
    "X05-adapt-first": ("C3_score_before_update", "val_in_training"),
    "X06-late-epoch": ("C3_score_before_update",),
    "X07-second-pass": ("C4_single_pass",),
    "X08-validation-calibration": ("val_in_training", "C1_causality", "C3_score_before_update"),
    "X09-validation-training": ("val_in_training",),
    "X10-late-training-data": ("time_budget",),
    "X11-network": ("other",),
    "X12-class-gate": ("C1_causality",),
    "X13-byte-lut": ("byte_accounting",),
    "X14-changed-targets": ("byte_accounting",),
    "X15-subset": ("byte_accounting", "C2_normalization", "other"),
    "X16-timer": ("time_budget",),
    "X17-boundary-smear": ("other",),
    "X18-payload": ("artifact_size", "val_in_training"),
}
"""The label's violation classes that a check reads for."""
SURE = ("high", "medium")


@dataclass
class Row:
    """One check's counts."""

    legal: list[int] = field(default_factory=list)
    fitting: int = 0
    other_illegal: int = 0
    disputed: int = 0


def folders(source: Path) -> Iterator[tuple[int, Path]]:
    """Pull request numbers and their folders."""
    if source.is_dir():
        for path in sorted(source.iterdir()):
            if path.name.isdigit():
                yield int(path.name), path
        return
    for line in source.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield int(row["pr"]), Path(row["folder"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("labels", type=Path)
    arguments = parser.parse_args()
    text = arguments.labels.read_text(encoding="utf-8")
    labels = {row["pr"]: row for row in map(json.loads, text.splitlines())}
    checks = [check for check in load_checks() if check.grade is Grade.STATIC]
    rows: dict[str, Row] = defaultdict(Row)
    totals: dict[str, int] = defaultdict(int)
    intake: list[float] = []
    seconds: list[float] = []
    for number, folder in folders(arguments.source):
        label = labels.get(number)
        if label is None or label["confidence"] not in SURE:
            continue
        started = time.process_time()
        try:
            evidence = Evidence(load_submission(folder))
        except IntakeError:
            continue
        read = time.process_time()
        findings = run_checks(evidence, checks)
        intake.append(read - started)
        seconds.append(time.process_time() - read)
        totals[label["label"]] += 1
        for marked in {finding.check for finding in findings if finding.state is State.WARN}:
            row = rows[marked]
            if label["label"] == "legal":
                row.legal.append(number)
            elif label["label"] == "disputed":
                row.disputed += 1
            elif set(label["violations"]) & set(FITTING[marked]):
                row.fitting += 1
            else:
                row.other_illegal += 1
    print(f"{totals['legal']} legal, {totals['illegal']} illegal, {totals['disputed']} disputed rows")
    print("| check | legal | illegal, fitting | illegal, other | disputed | legal rows |")
    print("|---|---|---|---|---|---|")
    for check in checks:
        row = rows[check.id]
        named = " ".join(f"#{number}" for number in row.legal)
        print(
            f"| {check.id} | {len(row.legal)} | {row.fitting} | {row.other_illegal} | {row.disputed} | {named} |"
        )
    for name, spent in (("intake", intake), ("static checks", seconds)):
        print(
            f"{name}: {sum(spent) / max(len(spent), 1):.3f} CPU seconds a script, {max(spent, default=0):.3f} at most"
        )


if __name__ == "__main__":
    main()
