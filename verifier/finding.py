"""What a check says: a state, how strong the evidence is, and where to look.

A check returns one or more `Outcome`s; the registry (`verifier.checks`) stamps them with the
check's id and rules and so makes `Finding`s. Nothing here ranks findings: `verifier.verdict` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Json = Any
"""A value that `json.dumps` takes; findings are written out as they are."""


class State(StrEnum):
    """The outcome of one check. UNVERIFIED is not PASS, and WARN is not FAIL."""

    PASS = "PASS"
    """The rule was exercised and held, within the sensitivity that the message states."""
    FAIL = "FAIL"
    """The rule was broken: exact arithmetic, an error bound or a replayable counterexample."""
    WARN = "WARN"
    """Something a reviewer should look at; it does not prove a breach (every static match is this)."""
    UNVERIFIED = "UNVERIFIED"
    """The evidence that the check needs is missing; the message says which and how to get it."""
    NOT_APPLICABLE = "NOT_APPLICABLE"
    """The rule does not bear on this submission."""
    UNRULED = "UNRULED"
    """The behaviour was measured, but nobody ever ruled on it."""
    ERROR = "ERROR"
    """The check itself raised; the traceback is in the evidence."""


WORST_FIRST = (
    *(State.FAIL, State.ERROR, State.UNRULED, State.WARN, State.UNVERIFIED, State.PASS, State.NOT_APPLICABLE),
)
"""As a reader wants to meet them; the verdict is `decide`'s alone."""


class Grade(StrEnum):
    """How strong the evidence is, weakest first."""

    STATIC = "static"
    LOG = "log"
    PROBED = "probed"
    REPLAYED = "replayed"
    DECODED = "decoded"


@dataclass(frozen=True)
class Where:
    """A place in the submission folder. `line` counts from 1 in the opened (unwrapped) text."""

    file: str
    line: int | None = None
    excerpt: str | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Outcome:
    """What a check function returns: everything but the check's own identity."""

    state: State
    message: str
    where: tuple[Where, ...] = ()
    evidence: Mapping[str, Json] = field(default_factory=dict)
    try_next: str | None = None
    grade: Grade | None = None
    """Overrides the check's own grade when this outcome rests on other evidence."""
    rules: tuple[str, ...] | None = None
    """Overrides the check's own rules when this outcome bears on fewer of them."""
    replayable: bool = False
    """True when `pgolf-verify replay` can rerun the counterexample from the report alone."""


@dataclass(frozen=True)
class Finding:
    """An outcome with its check's identity, as every report renders it."""

    check: str
    title: str
    rules: tuple[str, ...]
    state: State
    grade: Grade
    message: str
    where: tuple[Where, ...] = ()
    evidence: Mapping[str, Json] = field(default_factory=dict)
    try_next: str | None = None
    replayable: bool = False


def passed(message: str, *where: Where, **evidence: Json) -> Outcome:
    return Outcome(State.PASS, message, where, evidence)


def failed(message: str, *where: Where, **evidence: Json) -> Outcome:
    return Outcome(State.FAIL, message, where, evidence)


def warned(message: str, *where: Where, **evidence: Json) -> Outcome:
    return Outcome(State.WARN, message, where, evidence)


def unverified(message: str, *where: Where, try_next: str | None = None, **evidence: Json) -> Outcome:
    return Outcome(State.UNVERIFIED, message, where, evidence, try_next=try_next)


def not_applicable(message: str, **evidence: Json) -> Outcome:
    return Outcome(State.NOT_APPLICABLE, message, (), evidence)


def unruled(message: str, *where: Where, **evidence: Json) -> Outcome:
    return Outcome(State.UNRULED, message, where, evidence)
