"""Where a program learns from validation tokens, and whether their score was kept before.

A learning site is a live `.backward()` or `autograd.grad` whose loss comes from validation tokens. A score
is kept where a sum or buffer of losses grows that the function returns, or where a function named for
scoring is called. Order is the order of the source inside the innermost loop that holds both: a chunk
that is scored and then trained on is legal however many epochs the training takes.

Cannot see: order that data decides (`if chunk < last:`), learning behind a custom autograd function, and
tokens that reach the loss through attributes of an object.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from verifier.static.flow import Flow, data_names, last_name
from verifier.static.labels import Label
from verifier.static.program import LOOPS, MODULE, Function, Program

_SCORES = re.compile(r"accum|score_|_score|commit|record_loss|add_loss", re.IGNORECASE)
_RESULT = re.compile(r"(?:^|_)bpb|^val_loss", re.IGNORECASE)
_EPOCH = re.compile(r"epoch|(?:^|_)ep(?:_|$|s$)|(?:^|_)pass(?:es)?(?:_|$)|sweep", re.IGNORECASE)
_GATHERS = frozenset({"add_", "append", "extend", "copy_", "index_add_", "scatter_"})
_OPTIMIZERS = re.compile(r"Adam|SGD|LBFGS|Muon|optim|Lion|RMSprop")
MAX_CALLERS = 6


class Order(Enum):
    """How learning and scoring stand to each other."""

    SCORED_FIRST = "scored first"
    LEARNED_FIRST = "learned first"
    NEVER_SCORED = "never scored here"
    SCORED_IN_LATER_EPOCH = "scored in the loop over epochs that learns"


@dataclass(frozen=True)
class Site:
    """One function that learns from validation tokens."""

    function: Function
    index: int
    """Of the backward call."""
    order: Order
    score: int | None
    """Index of the score that the order was read from."""
    offset: str | None
    """The fresh tensor that is optimised, where it is one and not the model: `delta`, `logit_bias`."""
    calls: tuple[tuple[Function, int], ...]
    """Live calls of the function, where it does not score by itself."""


class Learning:
    """The learning sites of a program: for each function, of the model and of offsets."""

    def __init__(self, program: Program, flow: Flow) -> None:
        self.program, self.flow = program, flow
        self.sites: tuple[Site, ...] = tuple(
            site for function in program.functions for site in self._sites(function)
        )

    def _sites(self, function: Function) -> Iterator[Site]:
        backward = [index for index in function.of(ast.Call) if self._learns(function, index)]
        if not backward or not _steps(function):
            return
        scores = self.scores(function)
        offsets = {index: name for index in backward if (name := self._offset(function, index)) is not None}
        if offsets:
            order, index, score = _order(function, list(offsets), scores)
            yield Site(function, index, order, score, offsets[index], ())
        models = [index for index in backward if index not in offsets]
        models = [index for index in models if not self._thrown_away(function, index)]
        if models:
            order, index, score = _order(function, models, scores)
            calls: tuple[tuple[Function, int], ...] = ()
            if order is Order.NEVER_SCORED:
                calls = self._calls(function)
                if calls and all(self._scored_before(caller, call) for caller, call in calls):
                    order = Order.SCORED_FIRST
            yield Site(function, index, order, score, None, calls)

    def _learns(self, function: Function, index: int) -> bool:
        node = function.nodes[index]
        assert isinstance(node, ast.Call)
        name = last_name(node.func)
        if name not in ("backward", "grad") or not isinstance(node.func, ast.Attribute):
            return False
        loss = node.func.value if name == "backward" else node.args[0] if node.args else None
        if loss is None:
            return False
        used = data_names(ast.walk(loss))
        origin = self.flow.origin(function, used, index)
        return bool(origin & Label.VAL) and not origin & Label.TRAIN

    def _offset(self, function: Function, backward: int) -> str | None:
        """The fresh tensor that this backward call optimises, when it is one."""
        call = function.nodes[backward]
        if isinstance(call, ast.Call) and last_name(call.func) == "grad":
            return self._fresh(function, backward)
        loops = function.loops(backward)
        for index in function.of(ast.Call):
            node = function.nodes[index]
            if (
                index > backward
                or not isinstance(node, ast.Call)
                or not _OPTIMIZERS.search(last_name(node.func))
            ):
                continue
            around = function.loops(index)
            if (not around or around[0] in loops) and (name := self._fresh(function, index)) is not None:
                return name
        return None

    def _fresh(self, function: Function, index: int) -> str | None:
        for each in function.under(index):
            if isinstance(each, ast.Name) and self.flow.name(function, each.id) & Label.FRESH:
                return each.id
        return None

    def _thrown_away(self, function: Function, backward: int) -> bool:
        """A warm-up of compiled code: what was learned, and the optimizer, are deleted right after."""
        deleted = {
            each.id
            for index in function.of(ast.Delete)
            if index > backward
            for each in function.under(index)
            if isinstance(each, ast.Name)
        }
        if not deleted:
            return False
        for index in function.of(ast.Assign):
            node = function.nodes[index]
            if index < backward and isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                made = isinstance(node.value, ast.Call) and _OPTIMIZERS.search(last_name(node.value.func))
                used = {each.id for each in ast.walk(node.value) if isinstance(each, ast.Name)}
                if made and node.targets[0].id in deleted and used & deleted:
                    return True
        return False

    def scores(self, function: Function) -> list[int]:
        """Indices of the statements that keep losses which the function returns, in source order."""
        kept = _returned_names(function)
        found: list[int] = []
        for index in function.of(ast.AugAssign, ast.Assign, ast.Call):
            node = function.nodes[index]
            match node:
                case ast.AugAssign(target=target, value=value):
                    holder = _root(target)
                    losses = self.flow.of(function, value) & Label.LOSS or self.flow.seed(holder) & Label.LOSS
                    if holder in kept and losses:
                        found.append(index)
                case ast.Assign(targets=[ast.Subscript() as target], value=value):
                    if _root(target) in kept and self.flow.of(function, value) & Label.LOSS:
                        found.append(index)
                case ast.Call(func=ast.Attribute(value=holder_node, attr=name), args=[_, *_] as args) if (
                    name in _GATHERS
                ):
                    losses = any(self.flow.of(function, each) & Label.LOSS for each in args)
                    if _root(holder_node) in kept and losses:
                        found.append(index)
                case ast.Call(func=called) if _SCORES.search(last_name(called)):
                    if any(
                        self.flow.of(function, each) & Label.LOSS or _root(each) in kept
                        for each in (*node.args, *(k.value for k in node.keywords))
                    ):
                        found.append(index)
        return found

    def _calls(self, function: Function) -> tuple[tuple[Function, int], ...]:
        found: list[tuple[Function, int]] = []
        for caller in self.program.functions:
            for index in caller.of(ast.Call):
                node = caller.nodes[index]
                if (
                    isinstance(node, ast.Call)
                    and last_name(node.func) == function.name
                    and caller is not function
                ):
                    found.append((caller, index))
        return tuple(found[:MAX_CALLERS])

    def _scored_before(self, function: Function, index: int, depth: int = 0) -> bool:
        """Was a score kept before this call, inside a loop that holds both?"""
        loops = set(function.loops(index))
        if any(score < index and loops & set(function.loops(score)) for score in self.scores(function)):
            return True
        if function.name == MODULE or depth > 2 or self.scores(function):
            return False
        calls = self._calls(function)
        return bool(calls) and all(self._scored_before(caller, call, depth + 1) for caller, call in calls)


def _order(function: Function, backward: list[int], scores: list[int]) -> tuple[Order, int, int | None]:
    """The gravest order among the learning calls."""
    if not scores:
        return Order.NEVER_SCORED, backward[0], None
    first: tuple[Order, int, int | None] = (Order.SCORED_FIRST, backward[0], scores[0])
    for index in backward:
        loops = function.loops(index)
        shared = {score: _shared(loops, function.loops(score)) for score in scores}
        together = {score: loop for score, loop in shared.items() if loop is not None}
        if not together:
            if all(score > index for score in scores):
                return Order.LEARNED_FIRST, index, scores[0]
            continue
        innermost = max(together.values())
        near = [score for score, loop in together.items() if loop == innermost]
        outer = [innermost, *function.loops(innermost)]
        if any(_is_epoch(function, loop) for loop in outer):
            return Order.SCORED_IN_LATER_EPOCH, index, near[0]
        if all(score > index for score in near):
            first = (Order.LEARNED_FIRST, index, near[0])
    return first


def _shared(left: list[int], right: list[int]) -> int | None:
    """The innermost loop that is in both."""
    return max(set(left) & set(right), default=None)


def _is_epoch(function: Function, index: int) -> bool:
    node = function.nodes[index]
    if not isinstance(node, ast.For | ast.AsyncFor):
        return False
    named = [node.target, *(n for n in ast.walk(node.iter))]
    return any(_EPOCH.search(last_name(each)) for each in named if isinstance(each, ast.Name | ast.Attribute))


def _steps(function: Function) -> bool:
    """Does anything change by gradient here: an optimizer's step, or an update in place?"""
    return any(
        isinstance(node := function.nodes[index], ast.Call)
        and last_name(node.func) in ("step", "add_", "sub_", "lerp_", "copy_", "addcmul_")
        for index in function.of(ast.Call)
    )


def _returned_names(function: Function) -> set[str]:
    """Names that the function's results are made from."""
    flows: dict[str, set[str]] = {}
    for index in function.of(ast.Assign, ast.AugAssign, ast.AnnAssign):
        node = function.nodes[index]
        sources = {each.id for each in function.under(index) if isinstance(each, ast.Name)}
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]  # type: ignore[attr-defined]
        for target in targets:
            for each in target.elts if isinstance(target, ast.Tuple | ast.List) else [target]:
                flows.setdefault(_root(each), set()).update(sources)
    for index in function.of(ast.Call):  # all_reduce(loss_sum) and buffer.add_(...)
        node = function.nodes[index]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _GATHERS:
            sources = {each.id for each in function.under(index) if isinstance(each, ast.Name)}
            flows.setdefault(_root(node.func.value), set()).update(sources)
    wanted: set[str] = set()
    queue = [name for name in flows if _RESULT.search(name)]
    for index in function.of(ast.Return):
        queue += [each.id for each in function.under(index) if isinstance(each, ast.Name)]
    while queue:
        name = queue.pop()
        if name not in wanted:
            wanted.add(name)
            queue += flows.get(name, ())
    return wanted


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Subscript | ast.Attribute | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


__all__ = ["LOOPS", "Learning", "Order", "Site"]
