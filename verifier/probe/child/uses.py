"""How often each substitution was used: the report lists what the script did not get from its machine."""

from __future__ import annotations

from collections import Counter

USES: Counter[str] = Counter()


def used(name: str) -> None:
    """Count one use of the substitution `name`."""
    USES[name] += 1
