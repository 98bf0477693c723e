"""A script's syntax tree and its nodes in a list, made once and shared by every reader."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from verifier.grammar import parse


@dataclass(frozen=True)
class Syntax:
    """Parsed source. Readers must not change the tree."""

    tree: ast.Module
    nodes: tuple[ast.AST, ...]
    """Every node but operators and contexts, breadth first."""
    parents: Mapping[ast.AST, ast.AST]
    places: Mapping[type[ast.AST], list[int]]
    """Where in `nodes` the nodes of each type are."""
    grammar: str
    """`3.11`, or `3.12` when an f-string needs PEP 701."""

    def of(self, *types: type[ast.AST]) -> list[ast.AST]:
        """The nodes of these types, breadth first. Readers want few types, and most nodes are names."""
        if len(types) == 1:
            return [self.nodes[place] for place in self.places.get(types[0], ())]
        return [self.nodes[place] for place in sorted(p for each in types for p in self.places.get(each, ()))]


@dataclass(frozen=True)
class Broken:
    """Source that no supported grammar parses."""

    message: str
    line: int | None = None
    excerpt: str | None = None


MAX_SOURCE_CHARACTERS = (
    8 << 20
)  # a tree takes some hundred bytes per character; the largest real one has 3.7 M


_PLAIN_FIELDS = frozenset(
    ("arg", "asname", "attr", "conversion", "ctx", "id", "is_async", "kind", "level", "module", "op", "ops")
    + ("simple", "type_comment")
)
"""Text, numbers, operators and contexts: two thirds of all fields."""
_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {
    kind: () if kind is ast.Constant else tuple(name for name in kind._fields if name not in _PLAIN_FIELDS)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST) and kind._fields
}
"""Of each node type that has fields, those that can hold such nodes."""


@lru_cache(maxsize=8)
def syntax_of(source: str) -> Syntax | Broken:
    """Parse a script, PEP 701 f-strings included. Never raises."""
    if len(source) > MAX_SOURCE_CHARACTERS:
        return Broken(f"it has {len(source)} characters, over the cap of {MAX_SOURCE_CHARACTERS}")
    try:
        parsed = parse(source)
    except SyntaxError as error:
        return Broken(error.msg, error.lineno, (error.text or "").strip()[:160] or None)
    except (ValueError, RecursionError, MemoryError) as error:
        return Broken(str(error) or type(error).__name__)
    nodes: list[ast.AST] = [parsed.tree]
    parents: dict[ast.AST, ast.AST] = {}
    places: dict[type[ast.AST], list[int]] = defaultdict(list)
    fields, found = _FIELDS, nodes.append
    for place, node in enumerate(nodes):  # grows while it is walked
        kind = node.__class__
        places[kind].append(place)
        for name in fields[kind]:
            value = getattr(node, name)
            if value.__class__ is list:
                for child in value:
                    if child.__class__ in fields:
                        parents[child] = node
                        found(child)
            elif value.__class__ in fields:
                parents[value] = node
                found(value)
    return Syntax(parsed.tree, tuple(nodes), parents, dict(places), parsed.grammar)


def fields_of(kind: type[ast.AST]) -> tuple[str, ...] | None:
    """The fields of a node type that can hold nodes other than operators and contexts; None for those."""
    return _FIELDS.get(kind)
