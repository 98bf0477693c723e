"""What auditing every pull request costs without probes: CPU seconds by stage over a sample of heads.

    python benchmarks/static_level.py MIRROR [--heads 60] [--seed 7]

MIRROR is a clone of the contest with its pull requests. The sample is audited in one process, as a batch does it, at
both levels that run nothing; git's processes count. Printed: milliseconds a head of each stage, and what all
heads would take on the cores given. CPU time is what compares: cores that others share stretch the wall.
"""

from __future__ import annotations

import argparse
import gc
import pkgutil
import random
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

from verifier.audit import Level
from verifier.batch import warm
from verifier.batch.task import Task, audit_task, settings
from verifier.intake import IntakeError
from verifier.intake.git import GitError, open_repository

CORES = 2
STAGES = {
    "checkout": "verifier.batch.task.check_out",
    "files and hashes": "verifier.intake.open_folder",
    "script": "verifier.intake.read_script",
    "logs": "verifier.intake._read_logs",
    "run command": "verifier.intake.read_command",
    "live program": "verifier.static.build_program",
    "flow of values": "verifier.static.Flow",
    "learning sites": "verifier.static.Learning",
    "checks": "verifier.audit.run_checks",
    "report": "verifier.batch.task.render_json",
}
"""What is timed, each less the stages inside it."""


def cpu_seconds() -> float:
    """Of this process and of the git processes that ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Stopwatch:
    """CPU seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inside: list[float] = []

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.stage(stage):
                return function(*args, **kwargs)

        return call

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = cpu_seconds()
        self._inside.append(0.0)
        try:
            yield
        finally:
            spent = cpu_seconds() - started
            self.seconds[name] += spent - self._inside.pop()
            if self._inside:
                self._inside[-1] += spent


def measure(mirror: Path, heads: dict[int, str], level: Level) -> Stopwatch:
    """Audit each head once, after one that is not counted: patterns compile at their first use."""
    how = settings(level, 1.0, 0)
    watch = Stopwatch()
    tasks = [Task(how, str(mirror), number, sha) for number, sha in heads.items()]
    _audit(tasks[0])
    patches = [
        mock.patch(place, watch.timed(stage, pkgutil.resolve_name(place))) for stage, place in STAGES.items()
    ]
    for patch in patches:
        patch.start()
    with watch.stage("the rest"):
        for task in tasks:
            _audit(task)
    for patch in patches:
        patch.stop()
    return watch


def _audit(task: Task) -> None:
    with suppress(GitError, IntakeError):  # no submission in it: the time to find out counts
        audit_task(task)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mirror", type=Path)
    parser.add_argument("--heads", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    assert warm  # everything is imported before the first measurement
    gc.freeze()
    gc.disable()  # as a batch has it while it only reads
    pulls = open_repository(arguments.mirror).pulls
    chosen = sorted(random.Random(arguments.seed).sample(sorted(pulls), min(arguments.heads, len(pulls))))
    heads = {number: pulls[number] for number in chosen}
    measured = {level: measure(arguments.mirror, heads, level) for level in (Level.DOCUMENTS, Level.STATIC)}
    print(f"| stage, CPU ms a head | {' | '.join(measured)} |\n|---|---|---|")
    for stage in (*STAGES, "the rest"):
        print(
            f"| {stage} | {' | '.join(f'{1e3 * w.seconds[stage] / len(heads):.1f}' for w in measured.values())} |"
        )
    for level, watch in measured.items():
        head = sum(watch.seconds.values()) / len(heads)
        print(
            f"{level}: {1e3 * head:.0f} ms a head, {head * len(pulls):.0f} CPU s for all {len(pulls)}, "
            f"{head * len(pulls) / CORES:.0f} s on {CORES} idle cores"
        )


if __name__ == "__main__":
    main()
