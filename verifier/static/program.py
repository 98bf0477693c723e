"""The live part of a script: what its entry point reaches under the submitted environment.

A `Program` is the training script and the shipped modules that it imports. Functions are reached by
name from the script's own statements; branches that the environment turns off, and statements after a
`return`, are left out. A `Function` keeps its live nodes in source order with the end of each node's
subtree, so that every reader shares one walk. Nested functions belong to the function around them.

Cannot see: calls through names put together at run time, and which of two functions of one name is
called (both are then live).
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from verifier.finding import Where
from verifier.intake.syntax import Broken, Syntax, fields_of, syntax_of
from verifier.static.switches import UNKNOWN, Switches

MODULE = "<module>"
_ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LOOPS = (ast.For, ast.AsyncFor, ast.While)
_MENTIONING = frozenset((ast.Name, ast.Attribute, ast.Import, ast.ImportFrom))


@dataclass(eq=False)
class Function:
    """A live function, method or module body, and its live nodes in source order."""

    name: str
    """`MODULE` for the statements of a module itself."""
    file: str
    tree: ast.AST
    parameters: tuple[str, ...] = ()
    class_name: str | None = None
    nodes: list[ast.AST] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    """For each node, the index after the last node of its subtree."""
    parents: list[int] = field(default_factory=list)
    """For each node, the index of its parent; -1 at the top."""
    by_type: dict[type[ast.AST], list[int]] = field(default_factory=lambda: defaultdict(list))
    _found: dict[tuple[type[ast.AST], ...], list[int]] = field(default_factory=dict)
    """What `of` was asked for, once the function is walked whole."""

    def of(self, *types: type[ast.AST]) -> list[int]:
        """Indices of the live nodes of these types, in source order."""
        if len(types) == 1:
            return self.by_type.get(types[0], [])
        found = self._found.get(types)
        if found is None:
            found = self._found[types] = []
            for each in types:
                found += self.by_type.get(each, ())
            found.sort()
        return found

    def under(self, index: int) -> list[ast.AST]:
        """The node and everything live below it."""
        return self.nodes[index : self.ends[index]]

    def above(self, index: int) -> Iterator[int]:
        """Indices of the ancestors, innermost first."""
        while (index := self.parents[index]) >= 0:
            yield index

    def loops(self, index: int) -> list[int]:
        """Indices of the loops around a node, innermost first."""
        return [each for each in self.above(index) if isinstance(self.nodes[each], LOOPS)]

    def where(self, node: ast.AST, lines: Mapping[str, list[str]] | None = None) -> Where:
        line = getattr(node, "lineno", None)
        excerpt = None
        if lines is not None and line is not None and 0 < line <= len(lines.get(self.file, ())):
            excerpt = lines[self.file][line - 1].strip()[:160] or None
        return Where(self.file, line, excerpt)


@dataclass
class Program:
    """The live functions, callers before callees as they were reached."""

    functions: tuple[Function, ...]
    by_name: Mapping[str, tuple[Function, ...]]
    switches: Switches
    """Of the training script."""
    lines: Mapping[str, list[str]]
    helpers: Mapping[str, str]
    """Text of the shipped C, C++ and CUDA files that the script names."""
    modules: Mapping[str, Syntax]
    """The whole tree of each module, dead code included."""

    def where(self, function: Function, node: ast.AST) -> Where:
        return function.where(node, self.lines)

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name and attribute that live code mentions."""
        return frozenset(_mentioned(self.functions))

    @cached_property
    def calls(self) -> tuple[tuple[Function, int, ast.Call], ...]:
        """Every live call with its function and index, function by function in source order."""
        return tuple(
            (function, index, node)
            for function in self.functions
            for index in function.of(ast.Call)
            if isinstance(node := function.nodes[index], ast.Call)
        )


def _mentioned(functions: tuple[Function, ...]) -> Iterator[str]:
    for function in functions:
        for index in function.of(ast.Name):
            yield function.nodes[index].id  # type: ignore[attr-defined]
        for index in function.of(ast.Attribute):
            yield function.nodes[index].attr  # type: ignore[attr-defined]


def build_program(
    path: str,
    source: str,
    environment: Mapping[str, str],
    siblings: Mapping[str, str],
) -> Program | None:
    """The live program. `siblings` holds the text of shipped files by path; None when it does not parse."""
    reader = _Reader(environment, siblings)
    if not reader.add_module(path, source, "__main__"):
        return None
    reader.follow()
    by_name: dict[str, list[Function]] = defaultdict(list)
    for function in reader.live:
        by_name[function.name].append(function)
    return Program(
        functions=tuple(reader.live),
        by_name={name: tuple(found) for name, found in by_name.items()},
        switches=reader.switches[path],
        lines=reader.lines,
        helpers={p: text for p, text in siblings.items() if not p.endswith(".py")},
        modules=reader.modules,
    )


class _Reader:
    """Reaches functions by name, and walks the live statements of each once."""

    def __init__(self, environment: Mapping[str, str], siblings: Mapping[str, str]) -> None:
        self.environment = environment
        self.siblings = {p: text for p, text in siblings.items() if p.endswith(".py")}
        self.switches: dict[str, Switches] = {}
        self.modules: dict[str, Syntax] = {}
        self.lines: dict[str, list[str]] = {}
        self.live: list[Function] = []
        self.known: dict[str, list[Function]] = defaultdict(list)
        self.queue: list[Function] = []
        self.seen_names: set[str] = set()
        self.classes: dict[str, list[Function]] = defaultdict(list)
        self.registered: set[ast.AST] = set()

    def add_module(self, path: str, source: str, name: str) -> bool:
        syntax = syntax_of(source)
        if isinstance(syntax, Broken):
            return False
        self.modules[path] = syntax
        self.lines[path] = source.splitlines()
        self.switches[path] = Switches(source, syntax, self.environment, name)
        self._register(syntax.tree.body, path, None)
        self.queue.append(Function(MODULE, path, syntax.tree))
        return True

    def _register(self, body: list[ast.stmt], path: str, class_name: str | None) -> None:
        for node in body:
            if isinstance(node, _FUNCTIONS):
                arguments = node.args
                names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
                function = Function(node.name, path, node, tuple(names), class_name)
                self.registered.add(node)
                self._offer(function)
            elif isinstance(node, ast.ClassDef):
                self._register(node.body, path, node.name)
            elif isinstance(node, ast.If | ast.Try | ast.With):
                for name in ("body", "orelse", "finalbody"):
                    self._register(getattr(node, name, []), path, class_name)
                for handler in getattr(node, "handlers", []):
                    self._register(handler.body, path, class_name)

    def _offer(self, function: Function) -> None:
        implicit = function.name.startswith("__") or function.name in ("forward", "step")
        if function.class_name is not None and implicit:
            if function.class_name in self.seen_names:
                self.queue.append(function)
            else:
                self.classes[function.class_name].append(function)
        elif function.name in self.seen_names:
            self.queue.append(function)
        else:
            self.known[function.name].append(function)

    def follow(self) -> None:
        while self.queue:
            function = self.queue.pop(0)
            self.live.append(function)
            _Walk(function, self.switches[function.file], self).run()

    def mention(self, name: str) -> None:
        """A live name: whatever it may call is live."""
        if name in self.seen_names:
            return
        self.seen_names.add(name)
        self.queue += self.known.pop(name, [])
        self.queue += self.classes.pop(name, [])

    def imports(self, name: str) -> None:
        """A live import: the shipped module of that name runs."""
        stem = name.replace(".", "/")
        for path in list(self.siblings):
            if path == f"{stem}.py" or path.endswith(f"/{stem}.py"):
                self.add_module(path, self.siblings.pop(path), name)


class _Walk:
    """One pass over a function's live nodes."""

    def __init__(self, function: Function, switches: Switches, reader: _Reader) -> None:
        self.function, self.switches, self.reader = function, switches, reader

    def run(self) -> None:
        tree = self.function.tree
        if isinstance(tree, ast.Module):
            self.body(tree.body, -1)
        elif isinstance(tree, _FUNCTIONS):
            for default in (*tree.args.defaults, *tree.args.kw_defaults):
                if default is not None:
                    self.node(default, -1)
            self.body(tree.body, -1)

    def body(self, statements: list[ast.stmt], parent: int) -> bool:
        """Walk statements; True when control never gets past them."""
        return any(self.statement(statement, parent) for statement in statements)

    def statement(self, node: ast.stmt, parent: int) -> bool:
        if isinstance(node, ast.If):
            value = self.switches.fold(node.test)
            index = self.open(node, parent)
            ended: list[bool] = []
            if value is UNKNOWN:
                self.node(node.test, index)
                ended = [self.body(node.body, index), self.body(node.orelse, index)]
            else:
                ended = [self.body(node.body if value else node.orelse, index)]
            self.close(index)
            return all(ended)
        if node in self.reader.registered:
            for decorator in getattr(node, "decorator_list", []):
                self.node(decorator, parent)
            return False  # a function of the module or a method: walked when it is reached
        if isinstance(node, ast.ClassDef):
            index = self.open(node, parent)
            for base in (*node.bases, *node.decorator_list):
                self.node(base, index)
            self.body(node.body, index)
            self.close(index)
            return False
        self.node(node, parent)
        return isinstance(node, _ENDS)

    def node(self, node: ast.AST, parent: int) -> None:
        kind = node.__class__
        if kind in _MENTIONING:
            self.names(node)
        elif kind is ast.IfExp:
            assert isinstance(node, ast.IfExp)
            value = self.switches.fold(node.test)
            if value is not UNKNOWN:
                self.node(node.body if value else node.orelse, parent)
                return
        index = self.open(node, parent)
        fields = fields_of(kind)
        if not fields:
            return
        for name in fields:
            value = getattr(node, name)
            if value.__class__ is list:
                if value and isinstance(value[0], ast.stmt):
                    self.body(value, index)
                    continue
                for child in value:
                    if fields_of(child.__class__) is not None:
                        self.node(child, index)
            elif fields_of(value.__class__) is not None:
                self.node(value, index)
        self.close(index)

    def names(self, node: ast.AST) -> None:
        """What a node mentions or imports is live."""
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                self.reader.mention(name)
            case ast.Import(names=names):
                for alias in names:
                    self.reader.imports(alias.name)
            case ast.ImportFrom(module=str(module), names=names):
                self.reader.imports(module)
                for alias in names:
                    self.reader.mention(alias.name)

    def open(self, node: ast.AST, parent: int) -> int:
        function = self.function
        index = len(function.nodes)
        function.nodes.append(node)
        function.ends.append(index + 1)
        function.parents.append(parent)
        function.by_type[node.__class__].append(index)
        return index

    def close(self, index: int) -> None:
        self.function.ends[index] = len(self.function.nodes)
