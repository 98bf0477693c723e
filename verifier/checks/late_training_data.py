"""X10-late-training-data: training data is read after the training loop, or by the evaluation."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from verifier.checks import check
from verifier.checks.static_base import calls, look, nothing, unread
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where
from verifier.static import LOOPS, Function, Label, Source, last_name

_CALIBRATES = re.compile(r"hessian|calib|gptq|awq|prune|recover|distill|prefill|warm_?start", re.IGNORECASE)
_EVALUATES = re.compile(r"^_?eval|^_?score_|sliding", re.IGNORECASE)
_RESERVE = re.compile(
    r"reserve_?(?:ms|s|sec|seconds|time)?$|calib\w*_(?:budget|reserve)|_reserve", re.IGNORECASE
)
_NOT_TIME = re.compile(r"memory", re.IGNORECASE)


@check(
    "X10-late-training-data",
    title="no training data is read after the training budget",
    grade=Grade.STATIC,
    rules=("R-015", "R-012"),
)
def late_training_data(evidence: Evidence) -> list[Outcome]:
    """Reads the source for calibration or pruning that is given training data after the loop that trains, in a
    script that nowhere reserves time for it, and for evaluation functions that name training files.

    Reading training data to change the model is training, and the 600 seconds end with the loop.

    WARN: such a call is live. No match is NOT_APPLICABLE.

    Cannot see: a loop that ends early without naming a reserve (the seconds are in the logs: see T1-training).

    Ruling: #529, #576, #593, #606 (3.6 s over), #609, #706 (2026-03-24/25); #1028.

    Violation: `gptq_calibrate(model, train_files)` after the loop, with `MAX_WALLCLOCK_SECONDS` at 600. Legal contrast:
    the same with `gptq_reserve_seconds` taken off the cap (#1060, #1394); text that the model generated (#1019).
    """
    source = evidence.source
    if source is None:
        return [unread()]
    outcomes: list[Outcome] = []
    reserved = any(_RESERVE.search(name) and not _NOT_TIME.search(name) for name in source.program.names)
    late = [] if reserved else list(_after_loop(source))
    if late:
        outcomes.append(
            look(
                "calibration reads training data after the training loop, and no time is reserved for it",
                late,
                rules=("R-015",),
            )
        )
    evaluation = list(_in_evaluation(source))
    if evaluation:
        outcomes.append(look("an evaluation function is given training data", evaluation, rules=("R-012",)))
    return outcomes or [nothing(source, "reading of training data after the training loop")]


def _after_loop(source: Source) -> Iterator[Where]:
    for function in source.program.functions:
        ends = [
            function.ends[index]
            for index in function.of(*LOOPS)
            if not function.loops(index) and _is_training(source, function, index)
        ]
        if not ends:
            continue
        for index in function.of(ast.Call):
            node = function.nodes[index]
            if (
                index < max(ends)
                or not isinstance(node, ast.Call)
                or not _CALIBRATES.search(last_name(node.func))
            ):
                continue
            handed = [
                source.flow.of(function, each) for each in (*node.args, *(k.value for k in node.keywords))
            ]
            if any(each & Label.TRAIN and not each & Label.VAL for each in handed):
                yield source.program.where(function, node)


def _is_training(source: Source, function: Function, loop: int) -> bool:
    inside = function.under(loop)
    backward = any(isinstance(each, ast.Attribute) and each.attr == "backward" for each in inside)
    return backward and any(isinstance(each, ast.Name) and "train_loader" in each.id for each in inside)


def _in_evaluation(source: Source) -> Iterator[Where]:
    for function, _, call in calls(source):
        name = last_name(call.func)
        if not _EVALUATES.search(name) or name not in source.program.by_name:
            continue
        for each in (*call.args, *(keyword.value for keyword in call.keywords)):
            if last_name(each) and source.flow.seed(last_name(each)) & Label.TRAIN:
                yield source.program.where(function, call)
    for function in source.program.functions:
        if not _EVALUATES.search(function.name):
            continue
        for index in function.of(ast.Attribute, ast.Constant):
            node = function.nodes[index]
            named = isinstance(node, ast.Attribute) and node.attr in (
                "train_files",
                "train_pattern",
                "train_shards",
            )
            if named or (isinstance(node, ast.Constant) and _names_files(node.value)):
                yield source.program.where(function, node)


def _names_files(value: object) -> bool:
    return isinstance(value, str) and "fineweb_train" in value and len(value) < 200
