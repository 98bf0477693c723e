"""How often each substitution was used: the report lists what the script did not get from its machine."""

from __future__ import annotations

from collections import Counter
from typing import Any

USES: Counter[str] = Counter()


def used(name: str) -> None:
    """Count one use of the substitution `name`."""
    USES[name] += 1


def stand_in(owner: Any, **values: Any) -> None:
    """Replace attributes of a module or class; the one way in which the child changes a library."""
    for name, value in values.items():
        setattr(owner, name, value)
