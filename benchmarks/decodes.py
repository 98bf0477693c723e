"""Runs the decode proof of every folder of `submissions/` that exposes a predictor, legal ones and illegal twins.

    python -m benchmarks.decodes [--only NAME ...] [--tokens 4096] [--seed 5] [--write docs/results.md]

Each script runs once, on the base stream of an audit with this seed; its artifact and its predictor then go through
`pgolf-verify --decode`'s encoder and decoder. A legal folder must be decoded. Exits with 1 when one is not, or when an
illegal one that exposes a predictor is. With `--write` the rows of the file that were not measured now are kept.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from verifier.checks.decode import decodes
from verifier.evidence import Evidence
from verifier.finding import Outcome, State
from verifier.intake import load_submission
from verifier.probe.runner import run_probes
from verifier.report.markers import between, write_between

ROOT = Path(__file__).parents[1]
MARKER = "decodes"
TIME_LIMIT_SECONDS = 1200.0
"""For both children together; a busy machine is no reason to stop."""
HEAD = (
    "| submission | says of itself | tokens | bytes | bits / sum of -log2 p | batched against stepwise, nats | verdict |",
    "|---|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Row:
    """One folder and its proof."""

    name: str
    legal: bool
    outcome: Outcome

    @property
    def expected(self) -> bool:
        return self.outcome.state is State.PASS if self.legal else self.outcome.state is not State.PASS

    def markdown(self) -> str:
        facts = self.outcome.evidence
        bits, model_bits = facts.get("bits"), facts.get("model_bits")
        ratio = (
            ""
            if not bits or not model_bits
            else f"{bits:,} / {model_bits:,.1f} ({bits / model_bits - 1:+.3%})"
        )
        gap = facts.get("largest_gap_nats")
        cells = (
            f"`{self.name}`",
            "legal" if self.legal else "illegal",
            f"{facts['tokens']:,}" if "tokens" in facts else "",
            f"{facts['bitstream_bytes']:,}" if bits else "",
            ratio,
            "" if gap is None else f"{gap:.1e}",
            "decoded"
            if self.outcome.state is State.PASS
            else f"{self.outcome.state}: {self.outcome.message}",
        )
        return f"| {' | '.join(cells)} |"


def prove(folder: Path, tokens: int, seed: int) -> Row:
    """The outcome of `C0-decode` on one folder."""
    submission = load_submission(folder)
    record = run_probes(
        submission,
        seed=seed,
        time_limit_seconds=TIME_LIMIT_SECONDS,
        decode_tokens=tokens,
        compare=False,
        progress=lambda stage: print(f"    {folder.name}: {stage}", file=sys.stderr),
    )
    outcome = decodes(Evidence(submission, record))
    return Row(folder.name, "**Legal.**" in (folder / "README.md").read_text(encoding="utf-8"), outcome)


def kept(path: Path, measured: set[str]) -> dict[str, str]:
    """Rows of the table in `path`, by folder, but for those measured now."""
    rows = (line for line in between(path, MARKER).splitlines() if line.startswith("| `"))
    named = {line.split("`")[1]: line for line in rows}
    return {name: line for name, line in named.items() if name not in measured}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    rows = []
    for exposed in sorted(ROOT.glob("submissions/*/predictor.py")):
        if arguments.only and exposed.parent.name not in arguments.only:
            continue
        rows.append(prove(exposed.parent, arguments.tokens, arguments.seed))
        print(rows[-1].markdown() + ("" if rows[-1].expected else "  <- not as expected"), flush=True)
    if arguments.write is not None:
        lines = {row.name: row.markdown() for row in rows}
        lines |= kept(arguments.write, set(lines))
        table = sorted(lines.values(), key=lambda line: ("| legal |" not in line, line))
        write_between(arguments.write, MARKER, "\n".join((*HEAD, *table)))
    sys.exit(0 if all(row.expected for row in rows) else 1)


if __name__ == "__main__":
    main()
