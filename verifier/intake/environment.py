"""Which environment variables a script reads, with their literal defaults and types.

Read from the syntax tree: `os.environ.get`, `os.environ[...]`, `os.getenv`, `in os.environ`,
`setdefault`, the same through aliases (`from os import environ as E`), and helper functions that
pass their argument on to one of these; also in modules that the script holds in strings. Cannot
see: names put together at run time.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

from verifier.intake.syntax import Broken, Syntax, syntax_of


class EnvType(StrEnum):
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    STR = "str"


@dataclass(frozen=True)
class EnvRead:
    """One variable, at the first place that reads it."""

    name: str
    default: str | None
    """The default as the environment would spell it; None when there is none or it is computed."""
    line: int
    type: EnvType


@dataclass(frozen=True)
class _Helper:
    """A function that forwards its name (and default) parameters to an environment read."""

    name_index: int
    default_index: int | None
    default: str | None
    type: EnvType | None


_CASTS = {"int": EnvType.INT, "float": EnvType.FLOAT, "bool": EnvType.BOOL, "str": EnvType.STR}
_HOLDS_CODE = re.compile(r"\n.*\b(?:os\.environ|getenv)\b.*\n")
_MAX_DEPTH = 2
_GETTERS = {"get", "setdefault", "pop"}
_FLAGS = {"0", "1", "true", "false", "yes", "no", "on", "off", ""}


@lru_cache(maxsize=8)
def environment_reads(source: str) -> Mapping[str, EnvRead]:
    """Every variable that the script reads by a literal name, in order of first reading."""
    reads: dict[str, EnvRead] = {}
    for read in sorted(_all_reads(source), key=lambda each: (each.line, each.name)):
        old = reads.get(read.name)
        if old is None or (old.default is None and read.default is not None and old.type is EnvType.STR):
            reads[read.name] = read if old is None else replace(read, line=old.line)
    return MappingProxyType(reads)


def _all_reads(source: str, depth: int = 0) -> Iterator[EnvRead]:
    syntax = syntax_of(source)
    if isinstance(syntax, Broken):
        return
    yield from _Finder(syntax).reads()
    for node in syntax.of(ast.Constant) if depth < _MAX_DEPTH else ():
        assert isinstance(node, ast.Constant)
        text = node.value
        if isinstance(text, str) and "env" in text and _HOLDS_CODE.search(text):
            for read in _all_reads(text, depth + 1):
                yield replace(read, line=node.lineno)  # a module held in a string, to be executed


class _Finder:
    def __init__(self, syntax: Syntax) -> None:
        self.syntax, self.parents = syntax, syntax.parents
        self.environs, self.getenvs, self.modules = {"environ"}, {"getenv"}, {"os"}
        self.constants: dict[str, str] = {}
        self._learn_aliases()
        self.candidates = [
            (node, self._read(node)) for node in syntax.of(ast.Call, ast.Subscript, ast.Compare)
        ]
        self.helpers = self._helpers()

    def _learn_aliases(self) -> None:
        for node in self.syntax.of(ast.Import, ast.ImportFrom):
            match node:
                case ast.Import(names=names):
                    self.modules |= {n.asname for n in names if n.name == "os" and n.asname}
                case ast.ImportFrom(module="os", names=names):
                    self.environs |= {n.asname or n.name for n in names if n.name == "environ"}
                    self.getenvs |= {n.asname or n.name for n in names if n.name == "getenv"}
        for node in self.syntax.of(ast.Assign):
            if (
                isinstance(node, ast.Assign)
                and len(node.targets) == 1
                and isinstance(node.targets[0], ast.Name)
            ):
                name = node.targets[0].id
                if self._is_environ(node.value):
                    self.environs.add(name)
                elif self._is_getter(node.value):
                    self.getenvs.add(name)
                elif isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                    self.constants.setdefault(name, node.value.value)

    def _is_environ(self, node: ast.AST) -> bool:
        match node:
            case ast.Name(id=name):
                return name in self.environs
            case ast.Attribute(value=ast.Name(id=module), attr="environ"):
                return module in self.modules
            case ast.Call(func=ast.Name(id="dict") | ast.Attribute(attr="copy"), args=[inner]):
                return self._is_environ(inner)
        return False

    def _is_getter(self, node: ast.AST) -> bool:
        match node:
            case ast.Name(id=name):
                return name in self.getenvs
            case ast.Attribute(value=ast.Name(id=module), attr="getenv"):
                return module in self.modules
            case ast.Attribute(value=base, attr=attribute):
                return attribute in _GETTERS and self._is_environ(base)
        return False

    def _read(self, node: ast.AST) -> tuple[ast.expr, ast.expr | None] | None:
        """The name and default expressions of an environment read, if the node is one."""
        match node:
            case ast.Call(func=function, args=args, keywords=keywords) if self._is_getter(function) and args:
                named = next((k.value for k in keywords if k.arg == "default"), None)
                return args[0], args[1] if len(args) > 1 else named
            case ast.Subscript(value=base, slice=index, ctx=ast.Load()) if self._is_environ(base):
                return index, None
            case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()], comparators=[right]) if (
                self._is_environ(right)
            ):
                return left, None
        return None

    def _helpers(self) -> dict[str, _Helper]:
        found: dict[str, _Helper] = {}
        for inner, read in self.candidates:
            if read is None or not isinstance(read[0], ast.Name):
                continue
            function = self._function_with(inner, read[0].id)
            if function is None or function[0] in found:
                continue
            name, arguments = function
            parameters = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
            index = parameters.index(read[0].id)
            default_index = default = None
            names = (
                {n.id for n in ast.walk(read[1]) if isinstance(n, ast.Name)} if read[1] is not None else set()
            )
            for position, parameter in enumerate(parameters):
                if position != index and (parameter in names or "default" in parameter):
                    default_index = position
            if default_index is None and read[1] is not None:
                default = self._literal(read[1])
            found[name] = _Helper(index, default_index, default, self._cast(inner))
        return found

    def _function_with(self, node: ast.AST, parameter: str) -> tuple[str, ast.arguments] | None:
        """The name and arguments of the innermost named function around a node that has the parameter."""
        above = self.parents.get(node)
        while above is not None:
            match above:
                case ast.FunctionDef(name=name, args=arguments):
                    pass
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda(args=arguments)):
                    pass
                case _:
                    above = self.parents.get(above)
                    continue
            if any(each.arg == parameter for each in (*arguments.posonlyargs, *arguments.args)):
                return name, arguments
            above = self.parents.get(above)
        return None

    def reads(self) -> Iterator[EnvRead]:
        for node, read in self.candidates:
            line = getattr(node, "lineno", 0)
            if read is not None:
                name = self._name(read[0])
                if name is not None:
                    default = None if read[1] is None else self._literal(read[1])
                    yield EnvRead(name, default, line, self._type(node, read[1], default))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                if (helper := self.helpers.get(called)) is not None:
                    yield from self._helper_read(node, helper, line)

    def _helper_read(self, node: ast.Call, helper: _Helper, line: int) -> Iterator[EnvRead]:
        if helper.name_index >= len(node.args) or (name := self._name(node.args[helper.name_index])) is None:
            return
        expression: ast.expr | None = None
        if helper.default_index is not None and helper.default_index < len(node.args):
            expression = node.args[helper.default_index]
        expression = expression or next((k.value for k in node.keywords if k.arg == "default"), None)
        default = helper.default if expression is None else self._literal(expression)
        yield EnvRead(name, default, line, helper.type or self._type(node, expression, default))

    def _name(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Name):
            return self.constants.get(node.id)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        return None

    def _literal(self, node: ast.expr) -> str | None:
        """The default as the environment would spell it: `str(0.5)` and `2048 * 48` are literals too."""
        match node:
            case ast.Constant(value=None):
                return None
            case ast.Constant(value=bool(flag)):
                return "1" if flag else "0"
            case ast.Constant(value=str() | int() | float() as value):
                return str(value)
            case ast.Name(id=name):
                return self.constants.get(name)
            case ast.Call(func=ast.Name(id="str" | "int" | "float"), args=[inner]):
                return self._literal(inner)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner_value = self._literal(operand)
                return None if inner_value is None else f"-{inner_value}"
            case ast.BinOp(left=left, op=ast.Mult() | ast.Add() | ast.Sub() as op, right=right):
                return _arithmetic(self._literal(left), op, self._literal(right))
            case ast.IfExp() | ast.Call():
                return None
        if (read := self._read(node)) is not None and read[1] is not None:
            return self._literal(read[1])
        return None

    def _type(self, node: ast.AST, default: ast.expr | None, text: str | None) -> EnvType:
        if (cast := self._cast(node)) is not None:
            return cast
        if isinstance(default, ast.Constant):
            for kind, found in ((bool, EnvType.BOOL), (int, EnvType.INT), (float, EnvType.FLOAT)):
                if isinstance(default.value, kind):
                    return found
        return EnvType.STR

    def _cast(self, node: ast.AST) -> EnvType | None:
        """The conversion around a read: `int(...)`, `bool(int(...))`, `... == "1"`, `... in ("1", "on")`."""
        found: EnvType | None = None
        for _ in range(4):
            parent = self.parents.get(node)
            match parent:
                case ast.Call(func=ast.Name(id=name), args=[first, *_]) if first is node and name in _CASTS:
                    found = _CASTS[name]
                case ast.Compare(comparators=[right]) if found in (None, EnvType.INT) and _is_flag(right):
                    return EnvType.BOOL
                case ast.UnaryOp(op=ast.Not()):
                    return EnvType.BOOL
                case ast.Attribute() | ast.BoolOp() | ast.Call(func=ast.Attribute()):
                    pass
                case _:
                    break
            node = parent
        return found


def _is_flag(node: ast.expr) -> bool:
    values = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return all(isinstance(each, ast.Constant) and str(each.value).lower() in _FLAGS for each in values)


def _arithmetic(left: str | None, op: ast.operator, right: str | None) -> str | None:
    if left is None or right is None:
        return None
    try:
        a, b = int(left), int(right)
    except ValueError:
        return None
    return str(a * b if isinstance(op, ast.Mult) else a + b if isinstance(op, ast.Add) else a - b)
