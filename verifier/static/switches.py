"""What the submitted command's environment makes of a script's switches.

`Switches.fold(expression)` gives the value that an expression has under the documented environment
and the script's own defaults, or `UNKNOWN`. It knows environment reads, conversions, comparisons,
boolean logic, arithmetic, and names and configuration attributes that are bound exactly once in the
whole module. `if args.ngram_order >= 2:` with a default of 0 is then dead code, and a mechanism that the
submission never turns on is not reported.

Cannot see: switches from the command line, from files, or through function parameters: both branches
of those stay live.
"""

from __future__ import annotations

import ast
import operator
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from verifier.intake.environment import EnvRead, EnvType, environment_reads
from verifier.intake.syntax import Syntax


class _Unknown:
    """Not computable from the source and the environment."""

    def __bool__(self) -> bool:
        raise TypeError("an unknown value has no truth")


UNKNOWN: Final = _Unknown()
MAX_DEPTH = 12
_FALSE_TEXTS = ("", "0", "false", "no", "off")

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
    ast.Is: lambda left, right: left is right,
    ast.IsNot: lambda left, right: left is not right,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
}
_CASTS: dict[str, Callable[[Any], Any]] = {"int": int, "float": float, "bool": bool, "str": str}
_TEXT_METHODS = {"lower", "strip", "upper"}


class Switches:
    """The values of one module's switches. `environment` is the documented command's."""

    def __init__(self, source: str, syntax: Syntax, environment: Mapping[str, str], name: str) -> None:
        self._environment = environment
        self._reads: Mapping[str, EnvRead] = environment_reads(source)
        self._names, self._attributes, self._bound = _bound_once(syntax)
        self._names["__name__"] = ast.Constant(name)
        self._folded: dict[ast.expr, Any] = {}
        self._depth = 0

    @property
    def variables(self) -> Mapping[str, EnvRead]:
        """The environment variables that the module reads."""
        return self._reads

    def value(self, variable: str) -> str | None:
        """What the environment variable holds when the script reads it; None when nothing sets it."""
        if variable in self._environment:
            return self._environment[variable]
        read = self._reads.get(variable)
        return None if read is None else read.default

    def is_on(self, variable: str) -> bool:
        """Does the variable hold a text that is neither empty, nor zero, nor a no?"""
        text = (self.value(variable) or "").strip().lower()
        try:
            return float(text) != 0.0
        except ValueError:
            return text not in _FALSE_TEXTS and text != "none"

    def fold(self, node: ast.expr) -> Any:
        """The value, or UNKNOWN."""
        if isinstance(node, ast.Constant):
            return node.value
        if node in self._folded:
            return self._folded[node]
        if self._depth >= MAX_DEPTH:
            return UNKNOWN
        self._folded[node] = UNKNOWN  # a name that is bound to itself
        self._depth += 1
        try:
            value = self._fold(node)
        except (TypeError, ValueError, ArithmeticError, AttributeError):
            value = UNKNOWN
        finally:
            self._depth -= 1
        self._folded[node] = value
        return value

    def _fold(self, node: ast.expr) -> Any:
        match node:
            case ast.Name(id=name):
                bound = self._names.get(name)
                return UNKNOWN if bound is None else self.fold(bound)
            case ast.Attribute(attr=name):
                bound = self._attributes.get(name)
                return UNKNOWN if bound is None else self.fold(bound)
            case ast.BoolOp(op=op, values=values):
                return self._boolean(isinstance(op, ast.Or), values)
            case ast.UnaryOp(op=op, operand=operand):
                value = self.fold(operand)
                if value is UNKNOWN:
                    return UNKNOWN
                return (
                    not value if isinstance(op, ast.Not) else -value if isinstance(op, ast.USub) else UNKNOWN
                )
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                if isinstance(op, ast.In | ast.NotIn) and _is_environ(right):
                    name = self.fold(left)
                    return (
                        UNKNOWN if name is UNKNOWN else (name in self._environment) == isinstance(op, ast.In)
                    )
                a, b = self.fold(left), self.fold(right)
                return UNKNOWN if a is UNKNOWN or b is UNKNOWN else _COMPARE[type(op)](a, b)
            case ast.BinOp(left=left, op=op, right=right):
                a, b = self.fold(left), self.fold(right)
                known = a is not UNKNOWN and b is not UNKNOWN and type(op) in _ARITHMETIC
                small = known and all(isinstance(each, int | float) for each in (a, b))
                return _ARITHMETIC[type(op)](a, b) if small else UNKNOWN
            case ast.IfExp(test=test, body=body, orelse=other):
                value = self.fold(test)
                return UNKNOWN if value is UNKNOWN else self.fold(body if value else other)
            case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
                folded = [self.fold(part) for part in parts]
                return UNKNOWN if any(each is UNKNOWN for each in folded) else tuple(folded)
            case ast.Call():
                return self._call(node)
            case ast.Subscript(value=base, slice=index) if _is_environ(base):
                name = self.fold(index)
                return self._environment.get(name, UNKNOWN) if isinstance(name, str) else UNKNOWN
        return UNKNOWN

    def _boolean(self, is_or: bool, values: list[ast.expr]) -> Any:
        """`False and x` is False even where x is unknown."""
        known = True
        value: Any = UNKNOWN
        for each in values:
            value = self.fold(each)
            if value is UNKNOWN:
                known = False
            elif bool(value) == is_or:
                return value if known else is_or
        return value if known else UNKNOWN

    def _call(self, node: ast.Call) -> Any:
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in _TEXT_METHODS:
            base = self.fold(function.value)
            return getattr(base, function.attr)() if isinstance(base, str) else UNKNOWN
        if isinstance(function, ast.Name) and function.id == "getattr" and len(node.args) == 3:
            return self._getattr(node.args[1], node.args[2])
        if not node.args:
            return UNKNOWN
        first = self.fold(node.args[0])
        if isinstance(function, ast.Name) and function.id in _CASTS:
            return UNKNOWN if first is UNKNOWN else _CASTS[function.id](first)
        if not isinstance(first, str) or first not in self._reads:
            return UNKNOWN
        direct = isinstance(function, ast.Attribute) and function.attr in ("get", "getenv")
        direct = direct or (isinstance(function, ast.Name) and function.id == "getenv")
        if first not in self._environment and direct and len(node.args) > 1:
            return self.fold(node.args[1])
        text = self.value(first)
        if text is None:
            return None if direct else UNKNOWN
        return text if direct else _typed(text, self._reads[first].type)

    def _getattr(self, attribute: ast.expr, default: ast.expr) -> Any:
        name = self.fold(attribute)
        if not isinstance(name, str):
            return UNKNOWN
        if name in self._attributes:
            return self.fold(self._attributes[name])
        return UNKNOWN if name in self._bound else self.fold(default)


def _typed(text: str, kind: EnvType) -> Any:
    if kind is EnvType.BOOL:
        return text.strip().lower() not in _FALSE_TEXTS
    return int(text) if kind is EnvType.INT else float(text) if kind is EnvType.FLOAT else text


def _is_environ(node: ast.expr) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr == "environ") or (
        isinstance(node, ast.Name) and node.id == "environ"
    )


_BINDERS = (
    ast.arg, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.alias, ast.keyword, ast.Assign, ast.AnnAssign,
)  # fmt: skip


def _bound_once(syntax: Syntax) -> tuple[dict[str, ast.expr], dict[str, ast.expr], frozenset[str]]:
    """Names, and configuration attributes, that the whole module binds in exactly one place; and every
    attribute that it binds or spells out as a word, as `setattr` would."""
    names: Counter[str] = Counter()
    attributes: Counter[str] = Counter()
    values: dict[str, ast.expr] = {}
    fields: dict[str, ast.expr] = {}
    words: set[str] = set()
    parents = syntax.parents
    for node in syntax.of(ast.Name):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names[node.id] += 1
            if isinstance(parents.get(parents[node]), ast.ClassDef):
                attributes[node.id] += 1
    for node in syntax.of(ast.Attribute):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            attributes[node.attr] += 1
    for node in syntax.of(*_BINDERS):
        match node:
            case ast.arg(arg=name):
                names[name] += 1
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names[name] += 1
            case ast.alias(name=name, asname=alias):
                names[alias or name.partition(".")[0]] += 1
            case ast.keyword(arg=str(name)):
                words.add(name)
            case ast.Assign(targets=[target], value=value):
                _keep(target, value, parents[node], values, fields)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                _keep(target, value, parents[node], values, fields)
    return (
        {name: value for name, value in values.items() if names[name] == 1},
        {name: value for name, value in fields.items() if attributes[name] == 1},
        frozenset(attributes) | words,
    )


def _keep(
    target: ast.expr,
    value: ast.expr,
    parent: ast.AST,
    values: dict[str, ast.expr],
    fields: dict[str, ast.expr],
) -> None:
    if isinstance(target, ast.Name):
        values[target.id] = value
        if isinstance(parent, ast.ClassDef):
            fields[target.id] = value
    elif isinstance(target, ast.Attribute):
        fields[target.attr] = value
