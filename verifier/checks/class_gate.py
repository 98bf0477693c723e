"""X12-class-gate: a gate reads the class of the token that is being predicted."""

from __future__ import annotations

import re
from collections.abc import Iterator

from verifier.checks import check
from verifier.checks.static_base import look, nothing, unread
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where
from verifier.static import Source
from verifier.static.ctokens import functions_of

_CLASS = re.compile(r"boundary|new_?word|starts_|is_word|within|space|punct|class", re.IGNORECASE)
_SWITCH = re.compile(r"^(?:NGRAM_)?(?:WITHIN|WORD)\w*_(?:BOOST|BETA|WEIGHT)$")


@check(
    "X12-class-gate",
    title="gates read the prefix, not the realised token",
    grade=Grade.STATIC,
    rules=("R-053", "C1"),
)
def class_gate(evidence: Evidence) -> Outcome:
    """Reads shipped C, C++ and CUDA files for a loop that takes `tokens[i]`, looks its class up (word boundary, new
    word) and then writes an output at `[i]` behind a condition on that class.

    Whether an expert speaks about a position then depends on the token at that position.

    WARN: the shape is there, and the script does not switch the experts' boosts off. No match is NOT_APPLICABLE.

    Cannot see: gates in compiled objects or in numba, or a class that was computed in another function; the flip
    changes tokens across classes.

    Ruling: #1420 (fixed in #1437); #2041 and #2118 (2026-05-02). With the boosts at 0, #2135 and #2140 were accepted.

    Violation: `tok = tokens[i]; edge = boundary_lut[tok]; if (!edge) hint[i] = top;`. Legal contrast: the same on
    `tokens[i - 1]`; the lookup after the hint was written, to update the state.
    """
    source = evidence.source
    if source is None:
        return unread()
    places = [] if _switched_off(source) else list(_gates(source))
    if not places:
        return nothing(source, "gate on the realised token's class in shipped C code")
    return look("a hint is written behind a condition on the class of the token at the same position", places)


def _switched_off(source: Source) -> bool:
    """Are there boosts of the experts that look at classes, and are they all 0?"""
    switches = source.program.switches
    boosts = [name for name in switches.variables if _SWITCH.match(name)]
    return bool(boosts) and not any(switches.is_on(name) for name in boosts)


def _gates(source: Source) -> Iterator[Where]:
    for path, text in source.program.helpers.items():
        for function in functions_of(text):
            for gate in function.gates(_CLASS):
                yield Where(path, gate)
