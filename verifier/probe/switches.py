"""Switches that the claim implies: off by default, documented nowhere, and the claimed number is printed only with them.

Authors often leave the command out, but their logs print the claimed number under a label. Where the script
prints that label only under `if args.ngram_eval:`, the run behind the log had it on, and the audit must
too, or it would look at a number that nobody claims.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

from verifier.intake.environment import EnvRead, EnvType
from verifier.intake.syntax import Broken, Syntax, syntax_of

ON = "1"
_OFF = {"0", "false", "no", "off", "", "none"}
_MAX_CALLS = 3
"""Calls between the main program and the line that prints."""
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def implied_switches(source: str, label: str | None, reads: Mapping[str, EnvRead]) -> tuple[str, ...]:
    """Variables that must be on for `label` to be printed; none when it is printed without, or nowhere."""
    word = (label or "").split(" ")[0].removesuffix(":")
    syntax = syntax_of(source)
    if not word or isinstance(syntax, Broken):
        return ()
    names = _switches(syntax, reads)
    ways: list[frozenset[str]] = [
        _needed(syntax, node, names, _MAX_CALLS)
        for node in syntax.nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _prints(node.value, word)
    ]
    fewest = min(ways, key=lambda way: len(way), default=frozenset[str]())
    return tuple(sorted(fewest))


def _prints(text: str, word: str) -> bool:
    return len(text) < 200 and text.lower().lstrip().startswith(word)


def _switches(syntax: Syntax, reads: Mapping[str, EnvRead]) -> dict[str, str]:
    """Names in the script that hold a switch which is off by default, and their variables."""
    off = {
        name
        for name, read in reads.items()
        if read.type in (EnvType.BOOL, EnvType.INT, EnvType.STR) and str(read.default or "").lower() in _OFF
    }
    found = {name.lower(): name for name in off}
    for node in syntax.nodes:
        if isinstance(node, ast.Constant) and node.value in off:
            at: ast.AST | None = node
            while at is not None and not isinstance(at, ast.stmt):
                at = syntax.parents.get(at)
            targets = at.targets if isinstance(at, ast.Assign) else [getattr(at, "target", None)]
            for target in targets:
                if isinstance(target, ast.Name | ast.Attribute):
                    found[_name(target)] = str(node.value)
    for node in syntax.nodes:
        # `collect = bool(getattr(h, "ppm_enabled", False))` is the same switch by another name.
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            held = _held(node.value)
            if held in found:
                found.setdefault(node.targets[0].id, found[held])
    return found


def _held(value: ast.expr) -> str:
    match value:
        case ast.Call(func=ast.Name(id="bool"), args=[inner]):
            return _held(inner)
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(name)), *_]):
            return name
    return _name(value)


def _needed(syntax: Syntax, node: ast.AST, names: Mapping[str, str], calls: int) -> frozenset[str]:
    """The switches on the shortest way to `node`."""
    needed: set[str] = set()
    child, parent = node, syntax.parents.get(node)
    while parent is not None:
        if isinstance(parent, ast.If) and any(child is each for each in parent.body):
            needed |= {names[name] for name in _conjuncts(parent.test) if name in names}
        if isinstance(parent, _Function):
            ways = [
                _needed(syntax, call, names, calls - 1) for call in _calls(syntax, parent.name) if calls > 0
            ]
            return frozenset(needed | min(ways, key=len, default=frozenset()))
        child, parent = parent, syntax.parents.get(parent)
    return frozenset(needed)


def _conjuncts(test: ast.expr) -> Iterator[str]:
    """Names that must be true for the test to be."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        for each in test.values:
            yield from _conjuncts(each)
    elif isinstance(test, ast.Name | ast.Attribute):
        yield _name(test)


def _calls(syntax: Syntax, name: str) -> Iterable[ast.Call]:
    return (node for node in syntax.nodes if isinstance(node, ast.Call) and _name(node.func) == name)


def _name(node: ast.AST | None) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""
