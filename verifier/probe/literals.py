"""Sizes that a source writes down, where the environment cannot reach them.

A model's shape is a class attribute, a field of a configuration, a constant in capitals, a default of an
argument parser or of a parameter, or a keyword of the call that builds it. The literal there is replaced in the syntax tree
before the source is compiled; line numbers stay. Only names that are sizes by their own words are touched,
and only literals that are larger than the audit's.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass

_ROUNDS = re.compile(r"warmup_\w+_iters")
"""How often each shape goes through the model before training: one compiles it, and an audit compiles nothing."""
_STEPS = ("steps", "iters", "iterations")
"""In a call or a signature these count what a method does, not how long the script trains."""


@dataclass(frozen=True)
class Literal:
    """One replaced literal."""

    name: str
    line: int
    before: int
    after: int


def scale_literals(tree: ast.Module, sizes: Mapping[str, int]) -> tuple[ast.Module, tuple[Literal, ...]]:
    """The same program with literal sizes replaced. `sizes`: name in lower case to the audit's value."""
    if not sizes:
        return tree, ()
    scaler = _Scaler(sizes)
    scaler.module(tree)
    return tree, tuple(scaler.found)


class _Scaler(ast.NodeVisitor):
    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._sizes = sizes
        self.found: list[Literal] = []

    def module(self, tree: ast.Module) -> None:
        for statement in tree.body:
            for name, value in _assigned(statement):
                if name.isupper():
                    self._scale(name, value)
        self.visit(tree)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for statement in node.body:
            for name, value in _assigned(statement):
                self._scale(name, value)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        plain = [*node.args.posonlyargs, *node.args.args]
        for argument, value in zip(reversed(plain), reversed(node.args.defaults), strict=False):
            self._scale_shape(argument.arg, value)
        for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
            if default is not None:
                self._scale_shape(argument.arg, default)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        for name, value in _assigned(node):
            if _ROUNDS.fullmatch(name):
                self._replace(name, value, 1)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
            self._option(node)
        for keyword in node.keywords:
            if keyword.arg is not None:
                self._scale_shape(keyword.arg, keyword.value)
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if (name := _text(key)) is not None:
                self._scale_shape(name, value)
        self.generic_visit(node)

    def _option(self, node: ast.Call) -> None:
        """`add_argument("--n-layer", default=12)`."""
        names = [text for each in node.args if (text := _text(each)) is not None]
        for keyword in node.keywords:
            if keyword.arg == "default" and names:
                self._scale(names[-1].lstrip("-").replace("-", "_"), keyword.value)

    def _scale_shape(self, name: str, value: ast.expr) -> None:
        if not name.lower().endswith(_STEPS):
            self._scale(name, value)

    def _scale(self, name: str, value: ast.expr) -> None:
        small = self._sizes.get(name.lower())
        if small is not None:
            self._replace(name, value, small)

    def _replace(self, name: str, value: ast.expr, small: int) -> None:
        """Change the literal in place, so that every visitor sees the smaller one."""
        before = _number(value)
        if before is not None and before > small:
            assert isinstance(value, ast.Constant)
            value.value = small
            self.found.append(Literal(name, value.lineno, before, small))


def _assigned(statement: ast.stmt) -> list[tuple[str, ast.expr]]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return [(name, value)]
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return [(name, value)]
    return []


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _number(node: ast.expr) -> int | None:
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else None
