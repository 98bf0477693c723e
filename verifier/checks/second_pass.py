"""X07-second-pass: code named for a second pass or a rescore is live."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from verifier.checks import check
from verifier.checks.static_base import calls, look, nothing, unread
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where
from verifier.static import Source, last_name

_SECOND = re.compile(
    r"re_?score|two_?pass|2_?pass|second_?pass|(?<![A-Za-z])pass_?(?:2|two)(?![0-9])|leave_?one_?out|(?:^|_)loo(?:_|$)",
    re.IGNORECASE,
)


@check(
    "X07-second-pass",
    title="each token is scored in one pass",
    grade=Grade.STATIC,
    rules=("R-055", "C4"),
)
def second_pass(evidence: Evidence) -> Outcome:
    """Reads the source for live calls of functions, and switches that are on, that are named for a second pass:
    rescore, two-pass, pass 2, leave-one-out.

    WARN: such a name is called or switched on. No match is NOT_APPLICABLE.

    Cannot see: a second pass under another name; the ledger counts how often each position is scored.

    Ruling: #846, #868, #881, #888, #893, #907 (2026-03-27); #991 (2026-03-28, reported the second pass).

    Violation: `pass2_bpb = rescore_with_full_cache(...)` as the reported number. Legal contrast: several
    diagnostic evaluations on freshly loaded models, each of one pass (#1105); a two-pass function that no
    submitted switch turns on.
    """
    source = evidence.source
    if source is None:
        return unread()
    places = list(_named(source))
    if not places:
        return nothing(source, "call or switch named for a second pass")
    return look("live code is named for a second pass over the same tokens", places)


def _named(source: Source) -> Iterator[Where]:
    program = source.program
    for function, _, call in calls(source):
        name = last_name(call.func)
        if name in program.by_name and _SECOND.search(name):
            yield program.where(function, call)
    switches = program.switches
    mentioned = program.names
    for name, read in switches.variables.items():
        if _SECOND.search(name) and name.lower() in mentioned and switches.is_on(name):
            yield Where(program.functions[0].file, read.line)
    for function in program.functions:
        if _SECOND.search(function.name) and isinstance(function.tree, ast.FunctionDef):
            yield program.where(function, function.tree)
