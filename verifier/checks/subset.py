"""X15-subset: part of the validation split is scored."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from verifier.checks import check
from verifier.checks.static_base import calls, look, nothing, unread
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where
from verifier.static import Function, Label, Source, last_name

_LIMIT = re.compile(
    r"(?:val|eval|ppm|score|mix)\w*_(?:token|tok|doc|batch|window|byte|step|iter|seq|subset|max|limit)\w*_?(?:limit|cap|max|subset)?$"
    r"|(?:max|limit|num)_(?:val|eval|ppm)\w*|subset_tokens|(?:val|eval)_(?:subset|fraction|limit)",
    re.IGNORECASE,
)
_SIZED = re.compile(r"limit|subset|(?:^|_)max(?:_|$)|cap(?:_|$)|fraction", re.IGNORECASE)
_NOT_SIZE = re.compile(
    r"lr|ratio|order|alpha|len|second|time|ms$|batch_size|rank|conf|shard|context|history", re.IGNORECASE
)
_BATCHES = re.compile(r"batch|sample|^get_|^next_", re.IGNORECASE)


@check(
    "X15-subset",
    title="the whole validation split is scored",
    grade=Grade.STATIC,
    rules=("R-066",),
)
def subset(evidence: Evidence) -> Outcome:
    """Reads the source for a limit on what is scored that the submitted environment sets (`VAL_TOKEN_LIMIT`,
    `PPM_SUBSET_TOKENS`, `EVAL_MAX_DOCS`), and for evaluation on random positions.

    WARN: such a limit is above zero, or random batches of validation tokens are scored. No match is NOT_APPLICABLE.

    Cannot see: a file that holds a part of the split; D2 reads the token count of the logs, and the ledger of a probe
    counts positions.

    Ruling: #1835 (2026-04-28, 3 million tokens reported as the whole), #2009 (20 random batches), #50.

    Violation: `PPM_SUBSET_TOKENS=8000000`. Legal contrast: a limit that is 0 or that nothing sets; trimming to a
    multiple of the sequence length (the root script); limits of training or of calibration.
    """
    source = evidence.source
    if source is None:
        return unread()
    places = [*_limits(source), *_random(source)]
    if not places:
        return nothing(source, "limit on what is scored")
    return look("only a part of the validation split may be scored", places)


def _limits(source: Source) -> Iterator[Where]:
    switches, mentioned = source.program.switches, source.program.names
    for name, read in switches.variables.items():
        if not (_LIMIT.search(name) and _SIZED.search(name)) or _NOT_SIZE.search(name):
            continue
        value = switches.value(name)
        if value is not None and _limits_at(name, value) and name.lower() in mentioned:
            yield Where(source.program.functions[0].file, read.line)


def _limits_at(name: str, text: str) -> bool:
    try:
        number = float(text.replace("_", ""))
    except ValueError:
        return False
    return 0 < number < 1 if "FRACTION" in name.upper() else number > 0


def _random(source: Source) -> Iterator[Where]:
    """Positions drawn at random in a function that batches are named after, for an evaluation."""
    drawing = {
        function.name: (function, index)
        for function in source.program.functions
        for index in function.of(ast.Call)
        if last_name(function.nodes[index].func) in ("randint", "randperm")  # type: ignore[attr-defined]
        and _BATCHES.search(function.name)
        and _slices(function)
    }
    for function, index, call in calls(source):
        name = last_name(call.func)
        if name not in drawing:
            continue
        said = [each.value for each in call.args if isinstance(each, ast.Constant)]
        labels = [source.flow.of(function, each) for each in call.args]
        if "val" in said or any(each & Label.VAL for each in labels):
            drawn, at = drawing[name]
            yield source.program.where(function, function.nodes[index])
            yield source.program.where(drawn, drawn.nodes[at])


def _slices(function: Function) -> bool:
    """Does it cut pieces out of tokens and return them?"""
    return bool(function.of(ast.Return)) and bool(function.of(ast.Slice))


__all__ = ["subset"]
