"""One sandboxed run of a submission, of a size that a benchmark picks, with the capture on or off."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from verifier.intake import load_submission
from verifier.probe import runner
from verifier.probe.device import Device
from verifier.probe.job import Job, Outcome
from verifier.probe.sandbox import WORK, run_sandboxed
from verifier.probe.scale import AUDIT, Scale, vocab_size
from verifier.probe.vocabulary import Vocabulary
from verifier.submission import Submission

SEED = 7
LIMIT_SECONDS = 900.0
BARE = """
import os, sys
from pathlib import Path
from torch.overrides import TorchFunctionMode
from verifier.probe.child import __main__ as child, devices

class StandIns(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        args, kwargs = devices.redirect(args, kwargs or {})
        return func(*args, **kwargs)

child.shadow.install = lambda mode: StandIns().__enter__()
code = child.main(Path(sys.argv[1]))
os._exit(code)
"""
"""The child without its shadow: what stands a CUDA script on a CPU is left, and nothing is looked at."""


class Measured(NamedTuple):
    """What one run cost, as the sandbox saw it from outside."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    ended: str

    @classmethod
    def of(cls, outcome: Outcome) -> Measured:
        ended = str(outcome.ended) if outcome.exit_code in (0, None) else f"exit {outcome.exit_code}"
        return cls(outcome.wall_seconds, outcome.cpu_seconds, outcome.peak_memory_bytes, ended)


@contextmanager
def outcomes(*, bare: bool = False) -> Iterator[list[Measured]]:
    """What the runs made inside cost, in the order they ended."""
    ended: list[Measured] = []

    def run(job: Job, **options: Any) -> Outcome:
        argv = (sys.executable, "-B", "-c", BARE, WORK) if bare else job.argv
        outcome = run_sandboxed(replace(job, argv=argv), **options)
        ended.append(Measured.of(outcome))
        return outcome

    with mock.patch.object(runner, "run_sandboxed", run):
        yield ended


def run_once(submission: Submission, scale: Scale = AUDIT, *, bare: bool = False) -> Measured:
    """The uniform run of an audit, with the vocabulary of the scale."""
    [measured] = run_together(submission, scale, bare=bare)
    return measured


def run_together(
    submission: Submission, scale: Scale = AUDIT, count: int = 1, *, bare: bool = False
) -> list[Measured]:
    """So many of these runs, two at a time.

    Raises:
        ValueError: the folder has no script.
    """
    if submission.script is None:
        raise ValueError(f"{submission.root} has no script to run")
    audit = runner._Audit(
        submission, submission.script, SEED, LIMIT_SECONDS, Device.CPU, 0, lambda stage: None
    )
    vocabulary = Vocabulary.of_size(scale.vocab_size)
    stream = vocabulary.uniform().draw(scale.tokens, (SEED, 0))
    planned = [runner._Planned("uniform", stream, scale)] * count
    with outcomes(bare=bare) as ended, ThreadPoolExecutor(max_workers=2) as pool:
        for future in [pool.submit(audit._one, each, vocabulary) for each in planned]:
            future.result()
    return ended


def documented_vocabulary(submission: Submission) -> int:
    """The vocabulary that an audit of it draws."""
    assert submission.script is not None
    reads = runner._environment_reads(runner._sources(submission, submission.script))
    return vocab_size(reads, submission.command.env, AUDIT)


def empty_submission(folder: Path) -> Submission:
    """A script that imports torch and ends: what every run pays before the submission's own first line."""
    (folder / "train_gpt.py").write_text("import torch\n")
    return load_submission(folder)
