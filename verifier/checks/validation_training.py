"""X09-validation-training: a training loader is made from validation files, or a switch says so."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from verifier.checks import check
from verifier.checks.static_base import calls, look, nothing, unread
from verifier.evidence import Evidence
from verifier.finding import Grade, Outcome, Where
from verifier.static import Label, Source, last_name

_SWITCH = re.compile(r"train_?(?:on_?)?val|(?:^|_)val_?only|paid_?prefix|val_?in_?train", re.IGNORECASE)
_LOADER = re.compile(
    r"(?:token|train)\w*loader|token_?stream|TokenStream|train_?(?:data|shards?)", re.IGNORECASE
)


@check(
    "X09-validation-training",
    title="training and artifact read no validation files",
    grade=Grade.STATIC,
    rules=("R-020", "R-022"),
)
def validation_training(evidence: Evidence) -> Outcome:
    """Reads the source for training data made from validation files: a token loader given `fineweb_val`, a training
    pattern that names it, or a switch such as `TRAIN_ON_VAL` or `PAID_PREFIX_FILE` that the submission turns on.

    WARN: one of these is live. No match is NOT_APPLICABLE.

    Cannot see: a data folder whose training files are validation files (the documents check D2 reads the logs),
    or a blob that holds validation text; the fresh documents of a probe do.

    Ruling: #44 (2026-03-19), #168 and #262 (2026-03-21, paid prefix), README.

    Violation: `train_files = data_path + "/fineweb_val_*.bin"`. Legal contrast: `load_validation_tokens(val_files)` at
    the start, for evaluation (the root script).
    """
    source = evidence.source
    if source is None:
        return unread()
    places = [*_loaders(source), *_switches(source)]
    if not places:
        return nothing(source, "training loader or switch that names validation data")
    return look("validation data is named where training or the artifact reads data", places)


def _loaders(source: Source) -> Iterator[Where]:
    flow, program = source.flow, source.program
    for function, _, call in calls(source):
        name = last_name(call.func)
        if _LOADER.search(name) and not re.search(r"val|eval", name, re.IGNORECASE) and call.args:
            handed = [flow.of(function, each) for each in call.args]
            if any(each & Label.VAL and not each & Label.TRAIN for each in handed) and _trains(
                source, function, call
            ):
                yield program.where(function, call)
    for function in program.functions:
        for index in function.of(ast.Assign, ast.AnnAssign):
            node = function.nodes[index]
            if isinstance(node, ast.Assign):
                target, value = node.targets[0], node.value
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                target, value = node.target, node.value
            else:
                continue
            if flow.seed(last_name(target)) & Label.TRAIN and not isinstance(value, ast.Tuple):
                said = [each for each in ast.walk(value) if isinstance(each, ast.Constant | ast.Attribute)]
                labels = [flow.of(function, each) for each in said]
                if any(each & Label.VAL for each in labels) and not any(
                    each & Label.TRAIN for each in labels
                ):
                    yield program.where(function, node)


def _trains(source: Source, function: object, call: ast.Call) -> bool:
    """Is what is made named for training?"""
    for each in source.program.functions:
        if each is not function:
            continue
        for index in each.of(ast.Assign):
            node = each.nodes[index]
            if isinstance(node, ast.Assign) and node.value is call:
                return "train" in last_name(node.targets[0]).lower()
    return False


def _switches(source: Source) -> Iterator[Where]:
    switches = source.program.switches
    for name, read in switches.variables.items():
        if _SWITCH.search(name) and switches.is_on(name):
            yield Where(source.program.functions[0].file, read.line)
