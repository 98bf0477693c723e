"""The registry of checks: one file per check, one pure function from evidence to outcomes.

Every module in this package that defines a `@check` is imported by `load_checks`, so a new check is
a new file and nothing else. The check's docstring is its public page (`pgolf-verify explain ID`).
"""

from __future__ import annotations

import importlib
import pkgutil
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from inspect import cleandoc

from verifier.evidence import Evidence
from verifier.finding import Finding, Grade, Outcome, State

CheckFunction = Callable[[Evidence], Outcome | Sequence[Outcome]]


@dataclass(frozen=True)
class Check:
    """A registered check: its stable id, what it decides, and the function that decides it."""

    id: str
    title: str
    grade: Grade
    rules: tuple[str, ...]
    function: CheckFunction

    @property
    def page(self) -> str:
        return cleandoc(self.function.__doc__ or "")


_CHECKS: dict[str, Check] = {}


def check(
    id: str, *, title: str, grade: Grade, rules: Sequence[str]
) -> Callable[[CheckFunction], CheckFunction]:
    """Register a check. Ids are never reused: a check that changes its meaning gets a new one."""

    def register(function: CheckFunction) -> CheckFunction:
        if id in _CHECKS:
            raise ValueError(f"check id {id!r} is taken by {_CHECKS[id].function.__module__}")
        if not function.__doc__:
            raise ValueError(f"check {id!r} has no docstring, and the docstring is its page")
        _CHECKS[id] = Check(id, title, grade, tuple(rules), function)
        return function

    return register


def load_checks() -> tuple[Check, ...]:
    """Import every module of this package and return the checks in id order."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return tuple(_CHECKS[id] for id in sorted(_CHECKS))


def run_checks(evidence: Evidence, checks: Iterable[Check] | None = None) -> tuple[Finding, ...]:
    """Run the checks over the evidence. An exception inside a check is an ERROR finding, never lost."""
    findings: list[Finding] = []
    for each in load_checks() if checks is None else checks:
        try:
            result = each.function(evidence)
            outcomes = (result,) if isinstance(result, Outcome) else tuple(result)
        except Exception as error:
            outcomes = (
                Outcome(
                    State.ERROR,
                    f"the check raised {type(error).__name__}: {error}",
                    evidence={"traceback": traceback.format_exc()},
                    try_next="this is a bug of pgolf-verify: please report it with the JSON report",
                ),
            )
        findings.extend(_finding(each, outcome) for outcome in outcomes)
    return tuple(findings)


def _finding(check: Check, outcome: Outcome) -> Finding:
    return Finding(
        check=check.id,
        title=check.title,
        rules=check.rules if outcome.rules is None else outcome.rules,
        state=outcome.state,
        grade=check.grade if outcome.grade is None else outcome.grade,
        message=outcome.message,
        where=outcome.where,
        evidence=outcome.evidence,
        try_next=outcome.try_next,
        replayable=outcome.replayable,
    )
