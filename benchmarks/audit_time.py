"""Where the time of an audit goes, what capture costs, and how much memory it takes.

    python -m benchmarks.audit_time FOLDER... [--repeats 3] [--pairs 5]

For each folder: `--repeats` whole audits in this process, stage by stage, two sandboxed runs at a time as always; then
`--pairs` turns of the same scaled run with and without capture, and of a script that does nothing but import torch.
Wall time is what a user waits for; CPU time, of all processes that ended, is what to compare on a machine that others
share. Memory is the largest sum over the audit's processes of their proportional shares (PSS), seen ten times a second.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from benchmarks.probed import Measured, documented_vocabulary, empty_submission, outcomes, run_once
from verifier.audit import audit
from verifier.intake import load_submission
from verifier.probe.scale import AUDIT
from verifier.report.json import render_json
from verifier.stage import Stage

LOOK_EVERY_SECONDS = 0.1


class Cost(NamedTuple):
    wall: float
    cpu: float


def clock() -> Cost:
    """Now, and the CPU seconds of this process and of all below it that have ended."""
    below, own = (resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF))
    return Cost(time.perf_counter(), own.ru_utime + own.ru_stime + below.ru_utime + below.ru_stime)


class Stages:
    """Told each stage of an audit as it begins."""

    def __init__(self) -> None:
        self.costs: dict[str, Cost] = {}
        self._name, self._began = "", clock()

    def begins(self, told: Stage) -> None:
        stage, now = told.text, clock()
        if self._name:
            self.costs[self._name] = Cost(now.wall - self._began.wall, now.cpu - self._began.cpu)
        # Runs overlap, so they are one stage here; each has its own row.
        self._name, self._began = (
            ("runs" if ": " in stage else stage),
            now if ": " not in stage else self._start_of_runs(now),
        )

    def _start_of_runs(self, now: Cost) -> Cost:
        return self._began if self._name == "runs" else now


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """A list that ends with the largest number of bytes that this process and all below it held together."""
    peak, done = [0], threading.Event()

    def look() -> None:
        while not done.wait(LOOK_EVERY_SECONDS):
            peak[0] = max(peak[0], sum(map(_held_bytes, _with_descendants(os.getpid()))))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def _with_descendants(pid: int) -> list[int]:
    found = [pid]
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += _with_descendants(int(child))
    return found


def _held_bytes(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def whole_audits(folder: Path, repeats: int) -> None:
    """Print the stages of whole audits, medians over the repeats."""
    stages: dict[str, list[Cost]] = defaultdict(list)
    runs: dict[str, list[Measured]] = defaultdict(list)
    whole, peaks = [], []
    for _ in range(repeats):
        began, told = clock(), Stages()
        with outcomes() as ended, peak_memory() as peak:
            report = audit(folder, seed=7, progress=told.begins)
        told.begins(Stage("report"))
        render_json(report)
        told.begins(Stage("end"))
        now = clock()
        whole.append(Cost(now.wall - began.wall, now.cpu - began.cpu))
        peaks.append(peak[0])
        for name, cost in told.costs.items():
            stages[name].append(cost)
        waited = sorted(ended, key=lambda each: each.wall_seconds)
        for run in sorted(report.run.runs, key=lambda each: each.seconds):
            if waited:
                runs[run.name].append(waited.pop(0))  # a run's own seconds and the sandbox's rank the same
    print(
        f"\n{folder.name}: {report.verdict.call}\n\n| stage | wall s | CPU s | peak MB |\n|---|---|---|---|"
    )
    for name, costs in stages.items():
        print(f"| {name} | {_spread(c.wall for c in costs)} | {_spread(c.cpu for c in costs)} | |")
    for name, ended_runs in runs.items():
        held = max(each.peak_bytes for each in ended_runs) / 1e6
        print(
            f"| - {name} | {_spread(r.wall_seconds for r in ended_runs)} "
            f"| {_spread(r.cpu_seconds for r in ended_runs)} | {held:.0f} |"
        )
    print(
        f"| **audit** | {_spread(c.wall for c in whole)} | {_spread(c.cpu for c in whole)} | {max(peaks) / 1e6:.0f} |"
    )


def capture(folder: Path, pairs: int) -> None:
    """Print what one run costs with capture, without, and before the script's own first line."""
    submission = load_submission(folder)
    scale = replace(AUDIT, vocab_size=documented_vocabulary(submission))
    costs: dict[str, list[Measured]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch:
        nothing = empty_submission(Path(scratch))
        for _ in range(pairs):
            costs["captured"].append(run_once(submission, scale))
            costs["bare"].append(run_once(submission, scale, bare=True))
            costs["imports alone"].append(run_once(nothing))
    print("\n| one run | wall s | CPU s | peak MB |\n|---|---|---|---|")
    for name, each in costs.items():
        endings = {run.ended for run in each} - {"exit"}
        print(
            f"| {name}{f' ({endings})' if endings else ''} | {_spread(r.wall_seconds for r in each)} "
            f"| {_spread(r.cpu_seconds for r in each)} | {max(r.peak_bytes for r in each) / 1e6:.0f} |"
        )
    paired = list(zip(costs["captured"], costs["bare"], strict=True))
    print(
        f"\ncapture costs {_share((a.cpu_seconds / b.cpu_seconds for a, b in paired))} of the bare run by CPU time, "
        f"{_share((a.wall_seconds / b.wall_seconds for a, b in paired))} by wall time"
    )


def _spread(values: Iterable[float]) -> str:
    ordered: Sequence[float] = sorted(values)
    middle = f"{statistics.median(ordered):.2f}"
    return middle if len(ordered) == 1 else f"{middle} ({ordered[0]:.2f} to {ordered[-1]:.2f})"


def _share(ratios: Iterable[float]) -> str:
    over = sorted(100 * (ratio - 1) for ratio in ratios)
    return f"{statistics.median(over):+.0f}% ({over[0]:+.0f}% to {over[-1]:+.0f}%)"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    began = clock()
    subprocess.run([sys.executable, "-m", "verifier", "--help"], check=True, stdout=subprocess.DEVNULL)
    now = clock()
    print(
        f"the command's own start and help page: {now.wall - began.wall:.2f} s, {now.cpu - began.cpu:.2f} CPU s"
    )
    for folder in arguments.folders:
        if arguments.repeats:
            whole_audits(folder, arguments.repeats)
        if arguments.pairs:
            capture(folder, arguments.pairs)


if __name__ == "__main__":
    main()
