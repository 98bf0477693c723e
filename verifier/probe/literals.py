"""Sizes that a source writes down, where the environment cannot reach them.

A model's shape is a class attribute, a field of a configuration, a constant in capitals, a default of an
argument parser or a keyword of the call that builds it. The literal there is replaced in the syntax tree
before the source is compiled; line numbers stay. Only names that are sizes by their own words are touched,
and only literals that are larger than the audit's.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

TOGETHER = 2
"""Keywords of one call, or keys of one dictionary, that must be sizes before any of them is taken for one."""


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

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
            self._option(node)
        else:
            self._together([(each.arg, each.value) for each in node.keywords if each.arg is not None])
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        items = [(_text(key), value) for key, value in zip(node.keys, node.values, strict=True)]
        self._together([(key, value) for key, value in items if key is not None])
        self.generic_visit(node)

    def _option(self, node: ast.Call) -> None:
        """`add_argument("--n-layer", default=12)`."""
        names = [text for each in node.args if (text := _text(each)) is not None]
        for keyword in node.keywords:
            if keyword.arg == "default" and names:
                self._scale(names[-1].lstrip("-").replace("-", "_"), keyword.value)

    def _together(self, pairs: list[tuple[str, ast.expr]]) -> None:
        known = [
            (name, value)
            for name, value in pairs
            if name.lower() in self._sizes and _number(value) is not None
        ]
        if len(known) >= TOGETHER:
            for name, value in known:
                self._scale(name, value)

    def _scale(self, name: str, value: ast.expr) -> None:
        """Change the literal in place, so that every visitor sees the smaller one."""
        small, before = self._sizes.get(name.lower()), _number(value)
        if small is not None and before is not None and before > small:
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
