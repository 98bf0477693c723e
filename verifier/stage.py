"""What an audit is doing now, as it tells a terminal; nothing rests on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One thing that begins, or that ended."""

    text: str
    to_come: int | None = None
    """Sandboxed runs that are not over, those under way among them, as far as they are planned yet."""

    def __str__(self) -> str:
        return self.text


Progress = Callable[[Stage], None]


def unheard(stage: Stage) -> None:
    """For an audit that nobody watches."""
