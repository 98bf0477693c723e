"""What the claimed run was started with, though no document says so: its log does.

Many scripts print their configuration first, one name and value a line. And a log shows a number under a
label: where the script prints that label only behind a condition on the environment, and the defaults do not
meet it, the condition says what was set. It is read from the syntax tree, through the functions that lead to
the print. Conditions on anything but the environment are taken as met.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator, Mapping

from verifier.intake.environment import EnvRead
from verifier.intake.syntax import Broken, Syntax, syntax_of

_MAX_CALLS = 5
_MAX_ALIASES = 4
_OFF = frozenset({"", "0", "0.0", "false", "no", "off", "none", "-1"})
_LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_ON_WORDS = frozenset({"1", "true", "yes", "on"})
_VARIABLE = re.compile(r"^[A-Z][A-Z0-9_]+$")
_LINE = 200
"""Longer literals are texts, not what a line starts with."""
_CONFIGURED = re.compile(r"^[ \t]{1,8}([a-z][a-z0-9_]{1,60})\s*[:=]\s*(\S{1,60})\s*$", re.MULTILINE)
_FEWEST_LINES = 10
"""Lines of a configuration: fewer are something else."""
_HEAD_CHARACTERS = 200_000
_MACHINE = frozenset({"RANK", "LOCAL_RANK", "WORLD_SIZE", "RUN_ID", "LOGFILE", "SEED"})
_STEP = 64
"""For a stride that must be positive: one that the audit's sequences divide by."""

Wanted = dict[str, str]


def implied_switches(
    label: str | None, sources: Mapping[str, str], reads: Mapping[str, EnvRead], documented: Mapping[str, str]
) -> Wanted:
    """Values by variable without which `label` is not printed; empty when the defaults print it.

    `sources`: the script's own text and its siblings', by path. Documented values are never changed.
    """
    ways: list[Wanted] = []
    for source in sources.values():
        syntax = syntax_of(source)
        if label is None or isinstance(syntax, Broken):
            continue
        ways += _Reader(syntax, reads, documented).ways(label)
    return min(ways, key=len, default={})


def logged_values(log: str, reads: Mapping[str, EnvRead]) -> Wanted:
    """Values by variable that a printed configuration shows and the script's defaults do not.

    Numbers and switches only: paths and words are the author's machine's.
    """
    lines = dict(_CONFIGURED.findall(log[:_HEAD_CHARACTERS]))
    found: Wanted = {}
    for name, text in lines.items() if len(lines) >= _FEWEST_LINES else ():
        read = reads.get(name.upper())
        if read is None or read.name in _MACHINE:
            continue
        value, default = _plain(text), _plain(read.default or "")
        if value is not None and default is not None and value != default:
            found[read.name] = str(int(value)) if value == int(value) else repr(value)
    return found


def _plain(text: str) -> float | None:
    """A number or a truth value; None for anything else."""
    truth = {"true": 1.0, "false": 0.0}.get(text.lower())
    if truth is not None:
        return truth
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


class _Reader:
    def __init__(self, syntax: Syntax, reads: Mapping[str, EnvRead], documented: Mapping[str, str]) -> None:
        self._syntax, self._reads, self._documented = syntax, reads, documented
        self._values: dict[str, ast.expr] = {}
        self._calls: dict[str, list[ast.AST]] = {}
        for node in syntax.nodes:
            match node:
                case (
                    ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                ):
                    self._values.setdefault(name, value)
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                    self._calls.setdefault(name, []).append(node)

    def ways(self, label: str) -> Iterator[Wanted]:
        """What each place that prints the label needs, where that can be had."""
        for node in self._syntax.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _prints(node.value, label):
                yield from self._up(node, {}, 0)

    def _up(self, node: ast.AST, wanted: Wanted, calls: int) -> Iterator[Wanted]:
        """Follow the blocks around `node` outwards, and the calls of the function that it is in."""
        parent = self._syntax.parents.get(node)
        while parent is not None:
            if isinstance(parent, ast.If | ast.IfExp | ast.While):
                body = parent.body if isinstance(parent.body, list) else [parent.body]
                if node in body and not self._need(parent.test, wanted):
                    return
                orelse = parent.orelse if isinstance(parent.orelse, list) else [parent.orelse]
                if node in orelse and self._given(parent.test):
                    return
            if not self._not_left_before(parent, node, wanted):
                return
            if isinstance(parent, ast.FunctionDef):
                places = self._calls.get(parent.name, []) if calls < _MAX_CALLS else []
                for place in places:
                    yield from self._up(place, dict(wanted), calls + 1)
                if places:
                    return
            node, parent = parent, self._syntax.parents.get(parent)
        yield wanted

    def _not_left_before(self, block: ast.AST, node: ast.AST, wanted: Wanted) -> bool:
        """`if not args.ttt: return` above the node is a condition too."""
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(block, name, None)
            if not isinstance(statements, list) or node not in statements:
                continue
            for above in statements[: statements.index(node)]:
                match above:
                    case ast.If(test=ast.UnaryOp(op=ast.Not(), operand=test), body=[*_, last]):
                        if isinstance(last, _LEAVES) and not self._need(test, wanted):
                            return False
        return True

    def _need(self, test: ast.expr, wanted: Wanted, depth: int = 0) -> bool:
        """Note what makes the test true; False when a documented value forbids it."""
        match test:
            case ast.BoolOp(op=ast.And(), values=values):
                return all(self._need(value, wanted, depth) for value in values)
            case ast.BoolOp() | ast.UnaryOp():
                return True
            case ast.Compare(left=left, ops=[ast.Gt()], comparators=[ast.Constant(value=0 | 0.0)]):
                return self._want(left, None, wanted, depth)
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[ast.Constant(value=value)]):
                return self._want(left, str(value), wanted, depth)
            case ast.Compare(left=left, ops=[ast.NotEq()], comparators=[ast.Constant(value=value)]):
                return str(value).lower() not in _OFF or self._want(left, None, wanted, depth)
            case ast.Compare(left=left, ops=[ast.In()], comparators=[ast.Tuple() | ast.Set() | ast.List()]):
                return self._want(left, None, wanted, depth)
            case ast.Compare():
                return True
        return self._want(test, None, wanted, depth)

    def _want(self, value: ast.expr, exactly: str | None, wanted: Wanted, depth: int) -> bool:
        """The value must be `exactly` that, or on."""
        name = self._variable(value)
        if name is None:
            alias = self._alias(value)
            if alias is None or depth >= _MAX_ALIASES:
                return True
            return self._need(alias, wanted, depth + 1)
        present = self._documented.get(name, wanted.get(name, self._reads[name].default))
        if exactly is not None and exactly.lower() in _ON_WORDS:
            exactly = None
        met = (present or "").lower() not in _OFF if exactly is None else present == exactly
        if met:
            return True
        if name in self._documented or (exactly is None and not self._is_switch(name)):
            return name not in self._documented
        wanted[name] = exactly or (str(_STEP) if "STRIDE" in name else "1")
        return True

    def _is_switch(self, name: str) -> bool:
        """A variable that is off by a number or a word; one without a default may be a path."""
        return (self._reads[name].default or "").lower() in _OFF - {""}

    def _variable(self, value: ast.expr) -> str | None:
        """The one environment variable behind an expression."""
        match value:
            case ast.Call(func=ast.Name(id="bool" | "int"), args=[inner]) if self._read_in(inner) is None:
                return self._variable(inner)
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(name)), *_]):
                return self._variable(ast.Name(name))
            case ast.Name(id=name) | ast.Attribute(attr=name):
                assigned = self._values.get(name)
                found = None if assigned is None else self._read_in(assigned)
                return found or (name.upper() if name.upper() in self._reads else None)
        return self._read_in(value)

    def _read_in(self, value: ast.expr) -> str | None:
        """The variable that an expression of casts and a read names by its text."""
        if any(isinstance(each, ast.BoolOp | ast.IfExp) for each in ast.walk(value)):
            return None
        names = [
            each.value
            for each in ast.walk(value)
            if isinstance(each, ast.Constant)
            and isinstance(each.value, str)
            and _VARIABLE.match(each.value)
            and each.value in self._reads
        ]
        return names[0] if len(names) == 1 else None

    def _alias(self, value: ast.expr) -> ast.expr | None:
        """The expression that a local name stands for: `run_ttt = args.ttt_enabled and …`."""
        return self._values.get(value.id) if isinstance(value, ast.Name) else None

    def _given(self, test: ast.expr) -> bool:
        """Whether the test is a single variable that is on, so that its other branch is not taken."""
        name = self._variable(test)
        if name is None:
            return False
        return (self._documented.get(name, self._reads[name].default) or "").lower() not in _OFF


def _prints(text: str, label: str) -> bool:
    """Whether a literal holds the label, or begins with its first word: labels of logs carry counts."""
    word = label.split(" ")[0]
    return label in text.lower() or (len(text) < _LINE and text.lower().lstrip().startswith(word))
