"""What every static check shares: no source, nothing found, and a place to look at.

A static match is a WARN and no match is NOT_APPLICABLE: source that was only read proves neither a breach
nor that there is none.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from verifier.finding import Outcome, State, Where, not_applicable, unverified
from verifier.static import Function, Source, last_name

PLACES = 6


def unread() -> Outcome:
    return unverified(
        "no script that parses, so no source was read", try_next="ship train_gpt.py as Python text"
    )


def nothing(source: Source, what: str) -> Outcome:
    """No live code does it."""
    return not_applicable(f"no {what} in {len(source.program.functions)} live functions")


def look(message: str, places: Iterable[Where], *, rules: tuple[str, ...] | None = None) -> Outcome:
    """Something for a reviewer, with the lines. Places on one line are shown once."""
    distinct: dict[tuple[str, int | None], Where] = {}
    for place in places:
        distinct.setdefault((place.file, place.line), place)
    shown = tuple(distinct.values())
    more = f" ({len(shown)} places)" if len(shown) > PLACES else ""
    return Outcome(
        State.WARN,
        message + more,
        shown[:PLACES],
        {"places": len(shown)},
        try_next="read the lines; `--level probes` measures what they do",
        rules=rules,
    )


def calls(source: Source) -> tuple[tuple[Function, int, ast.Call], ...]:
    """Every live call with its function and index, in source order."""
    return source.program.calls


def only_in_training(source: Source, function: Function) -> bool:
    """Is every call of it behind a condition on `training`?"""
    sites = [
        (caller, index)
        for caller, index, call in calls(source)
        if last_name(call.func) == function.name and caller is not function
    ]
    return bool(sites) and all(_asks_training(caller, index) for caller, index in sites)


def _asks_training(function: Function, index: int) -> bool:
    return any(
        isinstance(node := function.nodes[above], ast.If)
        and any(isinstance(each, ast.Attribute) and each.attr == "training" for each in ast.walk(node.test))
        for above in function.above(index)
    )
