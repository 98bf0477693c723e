"""What the probes recorded, as data for the checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from verifier.intake.metric import same_label
from verifier.probe.decoding import Decoding
from verifier.probe.device import Device
from verifier.probe.passes import Pass
from verifier.probe.scale import Setting
from verifier.probe.stream import Stream
from verifier.probe.tape import Tape


@dataclass(frozen=True)
class Measured:
    """The headline number of the base run, at audit scale."""

    scale: str
    label: str
    val_loss_nats: float
    val_bpb: float | None


@dataclass(frozen=True)
class Run:
    """One whole execution of the script over one stream."""

    name: str
    """`uniform`, `uniform again`, `flip 1`, `small alphabet`, `small tables` …"""
    stream: Stream
    status: str
    """`finished`, `raised`, `exit`, `wall-limit`, `memory-limit` …"""
    reason: str
    """One line on why it did not finish; empty when it did."""
    seconds: float
    tape: Tape = field(repr=False)
    passes: tuple[Pass, ...] = field(repr=False)
    true_bytes: NDArray[np.int64] = field(repr=False)
    """Bytes of each stream position by the contest's rule; 0 at position 0, which is context."""
    bits_of_bytes: float | None = None
    """Entropy of the stream's bytes (`bytefloor`), for a claim that is printed in bits per byte alone."""
    resized: tuple[str, ...] = ()
    """Numbers of the script that this run alone has smaller, in words (`stress`)."""
    stdout_tail: str = field(repr=False, default="")
    stderr_tail: str = field(repr=False, default="")
    artifact: bytes | None = field(repr=False, default=None)
    """The file that the run wrote for its predictor, when a decode proof is to be made (`decoding`)."""

    @property
    def finished(self) -> bool:
        return self.status == "finished"

    def pass_named(self, label: str | None) -> Pass | None:
        """The last pass printed under `label`, its aliases included."""
        for each in reversed(self.passes):
            if label is not None and (each.label == label or label in each.aliases):
                return each
        for each in reversed(self.passes):
            if label is not None and same_label(each.label, label):
                return each
        return None

    def twin(self, other: Pass, of: Run) -> Pass | None:
        """The pass of this run that corresponds to pass `other` of run `of`: same label, same turn."""
        turn = sum(1 for each in of.passes if each.label == other.label and each.printed < other.printed)
        same = [each for each in self.passes if each.label == other.label]
        return same[turn] if turn < len(same) else None


@dataclass(frozen=True)
class ProbeRecord:
    """All runs of one audit. `reason` says why there is no usable base run, when there is none."""

    seed: int
    scale: str
    runs: tuple[Run, ...]
    settings: tuple[Setting, ...] = ()
    isolation: Mapping[str, str] = field(default_factory=dict)
    attempts: tuple[str, ...] = ()
    """Rungs of the ladder that failed before the one used, in words."""
    device: Device = Device.CPU
    headline: str | None = None
    """The printed label that stands for the claim at audit scale."""
    decoding: Decoding | None = None
    """None where no decode proof was asked for."""

    def run(self, name: str) -> Run | None:
        return next((run for run in self.runs if run.name == name), None)

    @property
    def base(self) -> Run | None:
        run = self.run("uniform")
        return run if run is not None and run.passes else None

    @property
    def flips(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.stream.flipped is not None)

    def headline_pass(self, run: Run) -> Pass | None:
        """The pass of `run` that stands for the claim, else its last final number."""
        named = run.pass_named(self.headline)
        if named is not None:
            return named
        finals = [each for each in run.passes if each.final]
        return finals[-1] if finals else (run.passes[-1] if run.passes else None)

    def same_headline(self, run: Run) -> Pass | None:
        """The pass of `run` under the label that stands for the claim in the base run; None when it did not get there."""
        head = None if self.base is None else self.headline_pass(self.base)
        return None if head is None else run.pass_named(head.label)

    @property
    def measured(self) -> Measured | None:
        base = self.base
        head = None if base is None else self.headline_pass(base)
        return None if head is None else Measured(self.scale, head.label, head.loss_nats, head.val_bpb)

    @property
    def substitutions(self) -> Mapping[str, int]:
        """Each substitution and its number of uses in the base run."""
        run = self.base or (self.runs[0] if self.runs else None)
        return {} if run is None else dict(sorted(run.tape.uses.items()))
