"""Dated editions of the contest's rules, as data: what a rule says, how firm it is, and who bears on it.

An edition is one JSON file that is never edited once published; a correction is a new date. Rules are told
in this project's own words, and `sources` names the issues and pull requests to read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any


class Status(StrEnum):
    """Where a rule comes from, firmest first."""

    OFF = "OFF"
    """README or the root script."""
    ORG = "ORG"
    """An organizer's comment."""
    MERGE = "MERGE"
    """A merged record or a row of an organizers' leaderboard."""
    COM = "COM"
    """A proposal or review of the community."""
    OPEN = "OPEN"
    """Asked, and never ruled."""


class VerdictClass(StrEnum):
    """What breaking the rule makes of a submission; LEGAL rules permit."""

    ILLEGAL = "ILLEGAL"
    ILLEGAL_IN_EFFECT = "ILLEGAL-IN-EFFECT"
    TOLERATED = "STRICT-VIOLATION/TOLERATED"
    OPEN = "OPEN"
    LEGAL = "LEGAL"


class UnknownEdition(ValueError):
    """The name is no edition's; the message lists those there are."""


@dataclass(frozen=True)
class Rule:
    id: str
    title: str
    text: str
    status: tuple[Status, ...]
    verdict: VerdictClass
    sources: tuple[str, ...]
    """Issue and pull-request numbers, with `#`."""
    checks: tuple[str, ...] = ()
    """Ids of checks that bear on it; some are built elsewhere or not yet."""
    date: str | None = None
    """Of the ruling, where one date can be given."""
    unruled: bool = False


@dataclass(frozen=True)
class Edition:
    name: str
    title: str
    rules: tuple[Rule, ...]

    def rule(self, id: str) -> Rule:
        """The rule with this id. Raises KeyError."""
        return {rule.id: rule for rule in self.rules}[id]

    def __contains__(self, id: object) -> bool:
        return any(rule.id == id for rule in self.rules)


def editions() -> tuple[str, ...]:
    """Names of the published editions, oldest first."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(".json") for file in files if file.name.endswith(".json")))


def load_edition(name: str | None = None) -> Edition:
    """An edition by name, or the newest one."""
    names = editions()
    chosen = names[-1] if name is None else name
    if chosen not in names:
        raise UnknownEdition(f"no rule edition {chosen!r}; there are: {', '.join(names)}")
    return _read(chosen)


@cache
def _read(name: str) -> Edition:
    text = (resources.files(__name__) / f"{name}.json").read_text(encoding="utf-8")
    data = json.loads(text)
    return Edition(data["edition"], data["title"], tuple(_rule(row) for row in data["rules"]))


def _rule(row: Mapping[str, Any]) -> Rule:
    return Rule(
        id=row["id"],
        title=row["title"],
        text=row["text"],
        status=tuple(Status(each) for each in row["status"]),
        verdict=VerdictClass(row["verdict"]),
        sources=tuple(row["sources"]),
        checks=tuple(row["checks"]),
        date=row.get("date"),
        unruled=row.get("unruled", False),
    )
