"""Audits every folder of `submissions/` and holds the verdict against what its README says of it.

    python -m benchmarks.submissions [--only NAME ...] [--write README.md]

A README that begins with **Legal.** asks for COMPLIANT or, where nobody ruled, NEEDS_REVIEW without a FAIL; one that begins
with **Illegal, on purpose.** for NON_COMPLIANT. Exits with 1 when a verdict is another.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from verifier.report.markers import write_between

ROOT = Path(__file__).parents[1]
MARKER = "submissions"


@dataclass(frozen=True)
class Row:
    """One folder and its audit."""

    name: str
    legal: bool
    verdict: str
    findings: tuple[str, ...]
    """Checks that failed or are unruled, and for a review those that are unverified."""
    seconds: float

    @property
    def expected(self) -> bool:
        return self.verdict != "NON_COMPLIANT" if self.legal else self.verdict == "NON_COMPLIANT"

    def markdown(self) -> str:
        return (
            f"| `{self.name}` | {'legal' if self.legal else 'illegal'} | {self.verdict} "
            f"| {', '.join(self.findings)} | {self.seconds:.0f} |"
        )


def audit(folder: Path) -> Row:
    """Run `pgolf-verify FOLDER --json` in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-m", "verifier", str(folder), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if not run.stdout:
        raise ValueError(f"{folder.name}: no report (exit code {run.returncode}): {run.stderr[-500:]}")
    report = json.loads(run.stdout)
    told = {"FAIL": "{}", "UNRULED": "{} unruled"}
    if report["verdict"] == "NEEDS_REVIEW":
        told["UNVERIFIED"] = "{} unverified"
    findings = {
        told[each["state"]].format(each["check"]): None
        for state in told
        for each in report["findings"]
        if each["state"] == state
    }
    readme = (folder / "README.md").read_text(encoding="utf-8")
    return Row(
        folder.name,
        "**Legal.**" in readme,
        report["verdict"],
        tuple(findings),
        report["seconds"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    rows = []
    for script in sorted(ROOT.glob("submissions/*/train_gpt.py")):
        if arguments.only and script.parent.name not in arguments.only:
            continue
        rows.append(audit(script.parent))
        print(rows[-1].markdown() + ("" if rows[-1].expected else "  <- not as expected"), flush=True)
    rows.sort(key=lambda row: (not row.legal, row.name))
    table = [
        "| folder | says of itself | verdict | by | s |",
        "|---|---|---|---|---|",
        *(row.markdown() for row in rows),
    ]
    if arguments.write is not None:
        write_between(arguments.write, MARKER, "\n".join(table))
    sys.exit(0 if all(row.expected for row in rows) else 1)


if __name__ == "__main__":
    main()
