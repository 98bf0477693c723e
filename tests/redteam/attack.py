"""What an attack is: a folder that a hostile author would submit, and what the audit must make of it.

Most are one insertion into the honest script of the mutant corpus (`tests/cheats/honest.py`); their leak is
`PEEK`, which adds to the logit of the very token that is to be predicted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cheats.corpus import BASE, write_folder

START = 'if __name__ == "__main__":\n    main()\n'
PEEK = '''

def peek(model, x_BT, y_BT):
    """The honest score, with the answer's own logit raised by two nats."""
    logits_BTV = model(x_BT)
    logits_BTV = logits_BTV + 2.0 * F.one_hot(y_BT, logits_BTV.size(-1))
    return F.cross_entropy(logits_BTV.flatten(0, 1), y_BT.flatten(), reduction="none").view(y_BT.shape)


honest_score = score
'''


@dataclass(frozen=True)
class Attack:
    """One hostile folder. `write` fills an empty folder with it."""

    name: str
    what: str
    """What it does, in half a sentence that fits a table."""
    write: Callable[[Path], None]
    survives: str | None = None
    """Why it may end COMPLIANT, where it does."""
    seconds: float = 60.0
    """Time limit of its audit."""
    fast: bool = False
    """True when nothing of it is executed: the audit ends on what it reads."""


def script(
    name: str,
    what: str,
    before: str = "",
    after: str = "",
    *,
    survives: str | None = None,
    seconds: float = 60.0,
) -> Attack:
    """An attack in the script itself: code before and after the honest program's start."""

    def write(folder: Path) -> None:
        write_folder(folder, hostile(before, after))

    return Attack(name, what, write, survives, seconds)


def leaks_if(name: str, what: str, condition: str, *, survives: str | None = None) -> Attack:
    """Peeks where `condition`, Python source that may span lines and ends in a function `leaks()`, is true."""
    before = PEEK + condition + "\n\ndef score(model, x_BT, y_BT):\n"
    before += "    return (peek if leaks() else honest_score)(model, x_BT, y_BT)\n"
    return script(name, what, before, survives=survives)


def hostile(before: str, after: str = "") -> str:
    """The honest script with code put before and after its start."""
    source = BASE.read_text(encoding="utf-8")
    if source.count(START) != 1:
        raise ValueError("the honest script does not end in its own start")
    return source.replace(START, f"{before.rstrip()}\n\n\n{START}{after}")


def beside(name: str, what: str, add: Callable[[Path], None], *, survives: str | None = None) -> Attack:
    """The honest folder with hostile files beside the script; nothing of it runs but the honest script."""

    def write(folder: Path) -> None:
        write_folder(folder, BASE.read_text(encoding="utf-8"))
        add(folder)

    return Attack(name, what, write, survives)
