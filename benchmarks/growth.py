"""How the cost of an audit grows: with the stream, the vocabulary and the number of runs, and with workers.

    python -m benchmarks.growth [FOLDER] [--repeats 3] [--write docs] [--batch FOLDER...] [--ray ADDRESS]

A sandboxed run of FOLDER at the audit's scale, with one thing changed at a time; the sizes come in turns, so that load by
others falls on all of them. CPU seconds are of the run's own processes. `--batch` audits these folders at the static
level with one worker and with two, and with `--ray` on a cluster (`local` starts one here, which needs the extra `ray`).
`--write` puts one picture for each growth into a folder.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.probed import Measured, run_once, run_together
from verifier.intake import load_submission
from verifier.probe.scale import AUDIT
from verifier.report.figure import drawing
from verifier.submission import Submission

STREAM_TOKENS = (4096, 8192, 16384, 32768)
VOCABULARIES = (512, 1024, 2048, 4096)
RUNS = (1, 2, 4, 6)
STYLE = """
text { font: 11px sans-serif; fill: #555 } .axis { fill: #222 } .grid { stroke: #ddd; stroke-width: .6 }
.rule { stroke: #888 } .curve { fill: none; stroke: #2a6f97; stroke-width: 2 }
.point { stroke: #2a6f97; stroke-width: 6; stroke-linecap: round }
svg { background: #fff }
"""


@dataclass
class Growth:
    """One thing that grows, and what each of its sizes cost."""

    slug: str
    words: str
    sizes: tuple[int, ...]
    costs: dict[int, list[Measured]] = field(default_factory=dict)

    def add(self, size: int, cost: Measured) -> None:
        self.costs.setdefault(size, []).append(cost)

    def medians(self) -> dict[int, Measured]:
        return {
            size: Measured(
                statistics.median(each.wall_seconds for each in costs),
                statistics.median(each.cpu_seconds for each in costs),
                max(each.peak_bytes for each in costs),
                ", ".join(sorted({each.ended for each in costs})),
            )
            for size, costs in self.costs.items()
        }

    def slope(self) -> float:
        """CPU seconds for each unit of size: least squares over the medians."""
        medians = self.medians()
        return statistics.linear_regression(
            list(medians), [each.cpu_seconds for each in medians.values()]
        ).slope

    def table(self) -> str:
        rows = [f"| {self.words} | CPU s | wall s | peak MB | ended |", "|---|---|---|---|---|"]
        for size, each in self.medians().items():
            rows.append(
                f"| {size:,} | {each.cpu_seconds:.2f} | {each.wall_seconds:.2f} | {each.peak_bytes / 1e6:.0f} "
                f"| {each.ended} |"
            )
        unit = 1 if max(self.sizes) < 1000 else 1000
        return "\n".join([*rows, "", f"{unit * self.slope():.3g} CPU s for each {unit:,} more."])

    def svg(self) -> str:
        medians = self.medians()
        title = f"CPU seconds against {self.words}"
        said = "; ".join(f"{size:,}: {each.cpu_seconds:.1f} s" for size, each in medians.items())
        points = [(size, each.cpu_seconds) for size, each in medians.items()]
        with drawing(f"growth-{self.slug}", title, said, self.words, "CPU seconds") as drawn:
            drawn.span((0, 1.03 * max(medians)), (0, 1.1 * max(cost for _, cost in points)))
            drawn.ticks()
            drawn.line(points, "curve")
            drawn.dots(points, "point")
            made = drawn.svg()
        # A picture of its own, outside of a page: it brings its namespace and its style.
        head, _, rest = made.partition(">")
        return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{STYLE}</style>{rest}\n'


def grow(submission: Submission, repeats: int) -> tuple[Growth, ...]:
    """Each size once a turn."""
    stream = Growth("stream", "tokens of the stream", STREAM_TOKENS)
    vocabulary = Growth("vocabulary", "tokens of the vocabulary", VOCABULARIES)
    runs = Growth("runs", "runs, two at a time", RUNS)
    for _ in range(repeats):
        for tokens in stream.sizes:
            stream.add(tokens, run_once(submission, replace(AUDIT, tokens=tokens)))
        for size in vocabulary.sizes:
            vocabulary.add(size, run_once(submission, replace(AUDIT, vocab_size=size)))
        for count in runs.sizes:
            runs.add(count, _together(submission, count))
    return stream, vocabulary, runs


def _together(submission: Submission, count: int) -> Measured:
    began = time.perf_counter()
    ended = run_together(submission, count=count)
    return Measured(
        time.perf_counter() - began,
        sum(each.cpu_seconds for each in ended),
        max(each.peak_bytes for each in ended),
        ", ".join(sorted({each.ended for each in ended})),
    )


def batch(folders: Sequence[Path], repeats: int, ray: str | None) -> str:
    """Seconds and audits a second of a batch at the static level, by what runs it."""
    ways = {"1 worker": ["--jobs", "1"], "2 workers": ["--jobs", "2"]}
    if ray is not None:
        ways[f"Ray ({ray})"] = ["--ray", ray]
    walls: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, options in ways.items():
            with tempfile.TemporaryDirectory() as out:
                began = time.perf_counter()
                command = [sys.executable, "-m", "verifier", "batch", *map(str, folders)]
                done = subprocess.run(
                    [*command, "--level", "static", "--out", out, *options],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                walls[name].append(time.perf_counter() - began)
                if not (Path(out) / "index.jsonl").exists():
                    raise ValueError(f"{name}: no index (exit code {done.returncode}): {done.stderr[-800:]}")
    rows = ["| batch, static level | s | audits a second |", "|---|---|---|"]
    for name, each in walls.items():
        wall = statistics.median(each)
        rows.append(
            f"| {name} | {wall:.1f} ({min(each):.1f} to {max(each):.1f}) | {len(folders) / wall:.1f} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--batch", type=Path, nargs="*", default=[])
    parser.add_argument("--ray")
    arguments = parser.parse_args()
    grown = () if arguments.folder is None else grow(load_submission(arguments.folder), arguments.repeats)
    for growth in grown:
        print(growth.table() + "\n", flush=True)
        if arguments.write is not None:
            (arguments.write / f"growth-{growth.slug}.svg").write_text(growth.svg(), encoding="utf-8")
    if arguments.batch:
        print(batch(arguments.batch, arguments.repeats, arguments.ray))


if __name__ == "__main__":
    main()
