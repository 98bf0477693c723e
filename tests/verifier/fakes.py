"""Stand-ins for the parts around an audit: a folder, a rule edition, a probe runner and two checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import verifier.probe
from verifier.checks import Check
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, State, Where, failed, passed, unverified
from verifier.probe.device import Device
from verifier.rules import UnknownEdition
from verifier.stage import Stage
from verifier.submission import (
    Claim,
    Log,
    Metric,
    Problem,
    RunCommand,
    Script,
    ShippedFile,
    Submission,
    Track,
)

SHA = "ab" * 32


def record(seed: int, gain_bits: float = -11.5) -> Any:
    """The attributes of a probe record that a report reads, and the number that the fake check wants."""
    number = SimpleNamespace(label="legal_ttt_exact", loss_nats=6.9325, val_bpb=4.1042, reconciled=False)
    run = SimpleNamespace(name="uniform", seconds=1.5, status="finished", reason="", passes=(number,))
    return SimpleNamespace(
        seed=seed,
        gain_bits=gain_bits,
        attempts=(),
        base=run,
        runs=(run,),
        settings=(SimpleNamespace(name="TTT_ENABLED", value="1", why="command"),),
        device=Device.CPU,
        headline_pass=lambda run: number,
        run=lambda name: run if name == run.name else None,
        substitutions={"torch.compile": 3},
        isolation={"network": "none"},
        measured=SimpleNamespace(
            scale="audit", label="legal_ttt_exact", val_loss_nats=6.9325, val_bpb=4.1042
        ),
    )


def submission(root: Path, *problems: Problem, sha256: str = SHA, script: bool = True) -> Submission:
    metric = Metric("legal_ttt_exact", 1.9, 1.1194, 4, 4, line=77, final=True)
    running = Metric("legal_ttt_exact", 2.9, 1.7, 4, 4, line=12, final=False)
    return Submission(
        root=root,
        name=root.name,
        track=Track.TEN_MINUTES,
        files=(ShippedFile("train_gpt.py", 9, sha256),),
        script=Script("train_gpt.py", 9, sha256, "print(1)\n", sha256) if script else None,
        claim=Claim(val_bpb=1.1194, key="val_bpb"),
        logs=(Log("train_seed42.log", "cd" * 32, "utf-8", seed=42, metrics=(running, metric)),),
        command=RunCommand(),
        readme=None,
        problems=problems,
    )


def floor(evidence: Evidence) -> Outcome:
    """Compares the reported loss with the entropy of the stream.

    Violation: optimise on the tokens that are scored. Legal contrast: score a chunk,
    then train on it (`#549`).
    """
    probes: Any = evidence.probes
    if probes is None:
        return unverified("no probes", try_next="audit with --level probes")
    bits = probes.gain_bits
    make = failed if bits >= 64 else passed
    made = make(f"{bits} bits under the floor", Where("train_gpt.py", 1), gain_bits=bits, run_seconds=1.0)
    return Outcome(made.state, made.message, made.where, made.evidence, replayable=True)


def denominator(evidence: Evidence) -> Outcome:
    """Divides the logged loss by the logged bits per byte."""
    return passed("2.4359 bytes per token")


CHECKS = (
    Check("B1-denominator", "loss and bits per byte imply a byte count", Grade.LOG, ("R-060",), denominator),
    Check("E1-floor", "no score beats the entropy of a secret stream", Grade.PROBED, ("R-001",), floor),
)
RULES = (
    SimpleNamespace(
        id="R-001",
        title="Strict causal dependence",
        text="Only the past.",
        status=("COM", "ORG"),
        sources=("#1017",),
    ),
    SimpleNamespace(id="R-060", title="BPB definition", text="Bytes are UTF-8.", status=("OFF",), sources=()),
    SimpleNamespace(id="R-099", title="Nothing checks this", text="Nothing.", status=("OPEN",), sources=()),
)


@dataclass
class World:
    """What the fake parts do; a test changes it before it runs the command."""

    load: Callable[[Path], Submission]
    run_probes: Callable[..., Any]
    checks: tuple[Check, ...] = CHECKS
    probed_with: list[dict[str, Any]] = field(default_factory=list)


def install(monkeypatch: pytest.MonkeyPatch) -> World:
    """Put the stand-ins where the real parts are."""

    def run_probes(submission: Submission, **options: Any) -> Any:
        world.probed_with.append(options)
        options["progress"](Stage("null run", 3))
        return record(options["seed"])

    def load_edition(name: str | None = None) -> Any:
        if name not in (None, "2026-05-02"):
            raise UnknownEdition(f"no rule edition {name!r}; there are: 2026-05-02")
        return SimpleNamespace(name="2026-05-02", rules=RULES)

    world = World(load=submission, run_probes=run_probes)
    monkeypatch.setattr("verifier.rules.load_edition", load_edition)
    # Set in the module's dict: to ask the module for the old value would import the whole runner.
    monkeypatch.setitem(
        vars(verifier.probe),
        "run_probes",
        lambda submission, **options: world.run_probes(submission, **options),
    )
    monkeypatch.setattr("verifier.doctor.isolation", lambda: {"network": "own namespace"})
    monkeypatch.setattr("verifier.doctor.tokenizer_cache", lambda: Path("/nonexistent/cache"))
    monkeypatch.setattr("verifier.intake.load_submission", lambda folder: world.load(folder))
    for place in ("verifier.audit", "verifier.cli.pages", "verifier.checks", "verifier.report.store"):
        monkeypatch.setattr(f"{place}.load_checks", lambda: world.checks)
    return world


def state_check(state: State, id: str = "Z1-state") -> Check:
    """A check that says one state, whatever it is shown."""
    return Check(id, f"always {state}", Grade.PROBED, ("R-099",), lambda evidence: Outcome(state, "as told"))


def compliant_checks() -> tuple[Check, ...]:
    """A PASS for everything that the policy requires."""
    from verifier.verdict import POLICY

    return tuple(state_check(State.PASS, requirement.any_of[0]) for requirement in POLICY.requirements)
