"""What a shell offers on TAB where files are not meant: names of checks, rules and editions."""

from __future__ import annotations

from verifier.audit import all_rules
from verifier.checks import load_checks
from verifier.rules import editions


def names_of_pages(incomplete: str) -> list[tuple[str, str]]:
    """Checks and rules, each with its title."""
    return names_of_checks(incomplete) + _beginning(
        incomplete, [(each.id, each.title) for each in all_rules()]
    )


def names_of_checks(incomplete: str) -> list[tuple[str, str]]:
    return _beginning(incomplete, [(each.id, each.title) for each in load_checks()])


def names_of_editions(incomplete: str) -> list[str]:
    return [name for name in editions() if name.startswith(incomplete)]


def _beginning(incomplete: str, named: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, title) for name, title in named if name.startswith(incomplete)]
