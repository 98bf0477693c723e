"""Two changes to a script's syntax tree before it is compiled; line numbers stay.

Size thresholds: scripts keep tensors of up to 65,536 values in floating point, and at audit scale every
matrix is smaller, so quantization and its calibration would be off. Literal thresholds on `numel()` are
sizes and are scaled like all sizes.

Watching: in the run that measures probability mass, the script's functions are wrapped, so that one
that turns targets into scores can be called again with other targets (`mass`). The wrapper calls the
function as it is.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from verifier.probe.child.uses import used
from verifier.probe.stress import SMALL_TABLES, cut_tables

THRESHOLD_FROM = 8192
THRESHOLD_DIVISOR = 64
WATCH = "__pgolf_watch__"

Cut = tuple[Sequence[int], int]
"""Sizes of tables, and the tokens of the stream that they are cut down to."""


def rewrite(tree: ast.Module, watch: bool, cut: Cut | None = None) -> ast.Module:
    """The same program with scaled size thresholds and, if asked, watched functions.

    `cut` names the hashed tables to cut down and the length of the stream, in tokens.
    """
    tree = _Thresholds().visit(tree)
    for resized in cut_tables(tree, *cut) if cut is not None else ():
        used(f"{SMALL_TABLES}: line {resized.line}: {resized.before} made {resized.after}")
    if watch:
        tree = _Watch().visit(tree)
    return ast.fix_missing_locations(tree)


class _Thresholds(ast.NodeTransformer):
    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        sides = [node.left, *node.comparators]
        if any(_is_numel(side) for side in sides):
            node.comparators = [_scaled(side) for side in node.comparators]
            node.left = _scaled(node.left)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if any("NUMEL" in name.upper() for name in names):
            node.value = _scaled(node.value)
        return node


def _is_numel(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "numel"


def _scaled(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Constant) and type(node.value) is int and node.value >= THRESHOLD_FROM:
        used("size threshold scaled")
        return ast.copy_location(ast.Constant(node.value // THRESHOLD_DIVISOR), node)
    return node


class _Watch(ast.NodeTransformer):
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        if _returns_value(node) and not _is_property(node):
            call: ast.expr = ast.Name(WATCH, ast.Load())
            node.decorator_list.append(ast.copy_location(call, node))
        return node


def _own_nodes(node: ast.FunctionDef) -> list[ast.AST]:
    """Nodes of the function itself, not of functions inside it."""
    found: list[ast.AST] = []
    stack: list[ast.AST] = list(node.body)
    while stack:
        each = stack.pop()
        found.append(each)
        if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            stack.extend(ast.iter_child_nodes(each))
    return found


def _returns_value(node: ast.FunctionDef) -> bool:
    own = _own_nodes(node)
    if any(isinstance(each, ast.Yield | ast.YieldFrom) for each in own):
        return False
    arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
    return len(arguments) >= 2 and any(
        isinstance(each, ast.Return) and each.value is not None for each in own
    )


def _is_property(node: ast.FunctionDef) -> bool:
    return any("jit" in ast.dump(each) or "property" in ast.dump(each) for each in node.decorator_list)


Watcher = Callable[[Callable[..., object]], Callable[..., object]]
