"""`python -m tests.redteam.table`: audit every hostile submission and print what came of it.

Exits with 1 when one harmed the host, crashed the audit, or ended COMPLIANT without a reason on record.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.redteam.corpus import ATTACKS
from tests.redteam.host import Row, adopting_orphans, audit
from verifier.probe.scratch import scratch_folder
from verifier.report.markers import write_between
from verifier.verdict import Call

MARKER = "red team"
PARALLEL = 2


def table(rows: Sequence[Row]) -> str:
    """The Markdown table, and under it the reasons of those that end COMPLIANT."""
    lines = ["| attack | what it does | verdict | by | seconds | host |", "|---|---|---|---|---|---|"]
    for row in rows:
        by = ", ".join(row.by[:3]) + (" …" if len(row.by) > 3 else "")
        harm = "; ".join(row.harm) or "unharmed"
        lines.append(
            f"| {row.attack.name} | {row.attack.what} | {row.call} | {by} | {row.seconds:.0f} | {harm} |"
        )
    count = {call: sum(row.call == call for row in rows) for call in Call}
    unharmed = sum(not row.harm for row in rows)
    lines += [
        "",
        f"{len(rows)} attacks: {count[Call.NON_COMPLIANT]} NON_COMPLIANT, {count[Call.NEEDS_REVIEW]} NEEDS_REVIEW, "
        f"{count[Call.COMPLIANT]} COMPLIANT; {unharmed} left the host as it was.",
    ]
    alive = [row for row in rows if row.call == Call.COMPLIANT]
    if alive:
        lines += ["", "COMPLIANT, and why:", ""]
        lines += [f"- `{row.attack.name}`: {row.attack.survives or row.wrong}." for row in alive]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.redteam.table")
    parser.add_argument("--write", type=Path, help="write the table between the markers of this file")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="audit this attack alone; may be repeated"
    )
    options = parser.parse_args(arguments)
    known = {attack.name for attack in ATTACKS}
    if unknown := set(options.only or ()) - known:
        parser.error(f"no attack {', '.join(sorted(unknown))}; there are: {', '.join(sorted(known))}")
    chosen = [attack for attack in ATTACKS if not options.only or attack.name in options.only]
    rows = []
    with scratch_folder() as folder, adopting_orphans(), ThreadPoolExecutor(PARALLEL) as pool:
        for row in pool.map(lambda attack: audit(attack, folder / attack.name), chosen):
            rows.append(row)
            print(
                f"{row.call:14} {row.attack.name} ({row.seconds:.0f} s) {', '.join(row.by)}", file=sys.stderr
            )
            if row.wrong:
                print(f"    {row.wrong}", file=sys.stderr)
    text = table(rows)
    print(text)
    if options.write is not None:
        write_between(options.write, MARKER, text)
    return 1 if any(row.wrong for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
