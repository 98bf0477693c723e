"""Small tables: give the hashed tables of a script the load that they have over the whole validation set.

A table of counts that is looked up at a hash of context and target cheats by its collisions: 40 million
tokens in 4,194,304 buckets are ten to a bucket, and then every candidate seems to have been seen after
every context. The few thousand tokens of an audit would leave the same table all but empty, and it would
look exact. So in one run of its own each table is cut down as far as the stream is shorter, or less, and
what delays a cache (chunks between updates, counts before it speaks) is made small too.

Only the entropy floor reads that run. A predictor that is causal and normalised stays so whatever its sizes
are: hashes of the past alone, rows normalised over the vocabulary, embeddings and tilts with their Z in
closed form only predict worse. Exact tables that pack a context and its target without loss would not:
they are cut only where the script mixes hashes with XOR, which no such packing does.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from verifier.intake.environment import EnvRead
from verifier.intake.syntax import Syntax, syntax_of

SMALL_TABLES = "small tables"
SMALL_TABLES_TRAINED = "small tables, small alphabet"
"""Names of the runs: one for the floor, one for the sums of mixtures that only a trained model shows."""
FULL_TOKENS = 40_540_160
"""Tokens of the contest's validation set in its coarsest tokenizer: no real run loads a table less."""
SMALLEST_TABLE = 16
TABLE_FROM = 8192
"""Smaller sizes are no tables that 40 million tokens overload, or are widths of something else."""
LARGEST_BITS = 28
CHUNK_FROM, CHUNK = 4096, 1024
DELAY_FROM, DELAY_DIVISOR = 1000, 64

_TABLE = re.compile(r"bucket|hash|table|slots|mask|capacity", re.IGNORECASE)
_BITS = re.compile(
    r"(bucket|hash|table|mask|slots)\w*(bits|log2|pow)|(log2|bits)_?\w*(bucket|hash|table)", re.I
)
_NO_TABLE = re.compile(r"vocab|embed|prime|mult|seed|sha|dim|batch|chunk|bytes", re.IGNORECASE)
_CHUNK = re.compile(r"chunk", re.IGNORECASE)
_DELAY = re.compile(r"token|count|seen|total", re.IGNORECASE)
_LOW_WORD = 0xFFFF


@dataclass(frozen=True)
class Resized:
    """One number that the run with small tables has in place of the script's own."""

    line: int
    before: int
    after: int
    table: bool
    """A table's size, mask or bits; otherwise a chunk or a delay."""


def find_tables(sources: Iterable[str]) -> tuple[int, ...]:
    """Sizes of the hashed tables in a script and the files beside it. Source that does not parse has none."""
    found: set[int] = set()
    for source in sources:
        syntax = syntax_of(source)
        if isinstance(syntax, Syntax) and any(isinstance(node, ast.BitXor) for node in ast.walk(syntax.tree)):
            found |= _Named(syntax.tree, FULL_TOKENS).tables
    return tuple(sorted(found))


def cut_tables(tree: ast.Module, tables: Sequence[int], tokens: int) -> tuple[Resized, ...]:
    """Change the sizes in `tree` for a stream of `tokens`, and say which. `tables` are those of all files."""
    named = _Named(tree, tokens)
    named.tables |= set(tables)
    resizing = _Resizing(named, tokens)
    resizing.visit(tree)
    ast.fix_missing_locations(tree)
    return tuple(sorted(resizing.done, key=lambda each: each.line))


def small_settings(
    reads: Mapping[str, EnvRead], documented: Mapping[str, str], tokens: int
) -> dict[str, tuple[int, int]]:
    """Variables that size a table or a chunk, with the documented number and the small one."""
    found: dict[str, tuple[int, int]] = {}
    for name, read in reads.items():
        before = _digits(documented.get(name, read.default))
        after = None if before is None else _resize(name, before, tokens)
        if before is not None and after is not None:
            found[name] = (before, after)
    return found


def equal_load(size: int, tokens: int) -> int:
    """The power of two that `tokens` load at most as the whole validation set loads a table of `size`."""
    share = max(SMALLEST_TABLE, -(-size * tokens // FULL_TOKENS))
    return 1 << (share - 1).bit_length()


def _resize(name: str, value: int, tokens: int) -> int | None:
    if _BITS.search(name):
        fits = TABLE_FROM.bit_length() - 1 <= value <= LARGEST_BITS
        return equal_load(1 << value, tokens).bit_length() - 1 if fits else None
    if _CHUNK.search(name):
        return CHUNK if value >= CHUNK_FROM else None
    if not _TABLE.search(name) or _NO_TABLE.search(name) or not TABLE_FROM <= value <= 1 << LARGEST_BITS:
        return None
    if "mask" in name.lower():
        whole = (value + 1).bit_count() == 1 and value != _LOW_WORD
        return equal_load(value + 1, tokens) - 1 if whole else None
    return equal_load(value, tokens)


def _size(name: str, value: int) -> int:
    """Buckets of the table that a size, mask or count of bits stands for."""
    if _BITS.search(name):
        return 1 << value
    return value + 1 if "mask" in name.lower() else value


class _Named:
    """Numbers that a name or an operator tells to be a size: nodes by identity, and tables by value."""

    def __init__(self, tree: ast.Module, tokens: int) -> None:
        self.nodes: dict[int, int] = {}
        self.tables: set[int] = set()
        self.others: set[int] = set()
        """Chunks and delays, which are sizes but no tables."""
        for name, expression in _bindings(tree):
            for node in _numbers(expression):
                before = _value(node)
                after = None if before is None else _resize(name, before, tokens)
                if before is None or after is None:
                    continue
                self.nodes[id(node)] = after
                if _CHUNK.search(name):
                    self.others.add(id(node))
                else:
                    self.tables.add(_size(name, before))
        for node, size in _reduced(tree):
            self.tables.add(size)
            self.nodes[id(node)] = equal_load(size, tokens) - (_value(node) != size)
        for scope in tree.body:
            if any(isinstance(node, ast.BitXor) for node in ast.walk(scope)):
                self._delays(scope)

    def _delays(self, scope: ast.stmt) -> None:
        for node in ast.walk(scope):
            if not isinstance(node, ast.Compare):
                continue
            sides = [node.left, *node.comparators]
            if any(_DELAY.search(_name(side)) for side in sides):
                for side in sides:
                    value = _value(side)
                    if value is not None and value >= DELAY_FROM:
                        self.nodes[id(side)] = value // DELAY_DIVISOR
                        self.others.add(id(side))


class _Resizing(ast.NodeTransformer):
    def __init__(self, named: _Named, tokens: int) -> None:
        self._named = named
        self._tokens = tokens
        self.done: list[Resized] = []

    def visit(self, node: ast.AST) -> ast.AST:
        before = _value(node)
        if before is None:
            return super().generic_visit(node)
        after = self._named.nodes.get(id(node))
        table = id(node) not in self._named.others
        if after is None:
            # The same number elsewhere is the same table: one that is cut in one place only adds up to nothing.
            for size in self._named.tables:
                if size - 1 <= before <= size:
                    after = equal_load(size, self._tokens) - (size - before)
        if after is None or after == before:
            return super().generic_visit(node) if not isinstance(node, ast.Constant) else node
        self.done.append(Resized(getattr(node, "lineno", 0), before, after, table))
        text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        return ast.copy_location(ast.Constant(str(after) if text else after), node)


def _bindings(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names and what they are given: assignments, defaults, keywords, entries and environment reads."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value):
                yield from ((_name(target), value) for target in targets)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield _name(target), value
            case ast.FunctionDef(args=arguments) | ast.Lambda(args=arguments):
                plain = [*arguments.posonlyargs, *arguments.args]
                first = len(plain) - len(arguments.defaults)
                yield from (
                    (each.arg, value) for each, value in zip(plain[first:], arguments.defaults, strict=True)
                )
                for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
                    if default is not None:
                        yield each.arg, default
            case ast.Call(args=args, keywords=keywords):
                yield from ((each.arg, each.value) for each in keywords if each.arg)
                if args and isinstance(args[0], ast.Constant) and isinstance(args[0].value, str):
                    values = [*args[1:], *(each.value for each in keywords if each.arg == "default")]
                    yield from ((args[0].value, value) for value in values)
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        yield key.value, value


def _numbers(expression: ast.expr) -> Iterator[ast.expr]:
    """The number that an expression is, or that conversions and environment reads around it pass on."""
    if _value(expression) is not None:
        yield expression
    elif isinstance(expression, ast.Call):
        for each in expression.args:
            yield from _numbers(each)


def _reduced(tree: ast.Module) -> Iterator[tuple[ast.expr, int]]:
    """Literal moduli and masks of hashes, with the size of the table that they stand for."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.BinOp):
            continue
        value = _value(node.right)
        if value is None or _value(node) is not None or not TABLE_FROM <= value <= 1 << LARGEST_BITS:
            continue
        mixes = any(isinstance(each, ast.BitXor) for each in ast.walk(node.left))
        if isinstance(node.op, ast.Mod) and mixes:
            yield node.right, value
        elif isinstance(node.op, ast.BitAnd) and value != _LOW_WORD and (value + 1).bit_count() == 1:
            yield node.right, value + 1


def _name(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _value(node: ast.AST) -> int | None:
    """A whole number written as a literal: `4_194_304`, `"4194304"`, `1 << 22`, `2**22 - 1`."""
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int(number)):
            return number
        case ast.Constant(value=str(text)):
            return _digits(text)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _value(left), _value(right)
            return None if a is None or b is None else _computed(a, op, b)
    return None


def _digits(text: str | None) -> int | None:
    plain = "" if text is None else text.replace("_", "")
    return int(plain) if plain.isdecimal() and len(plain) <= 12 else None


def _computed(a: int, op: ast.operator, b: int) -> int | None:
    if not 0 <= a <= 1 << 40 or not 0 <= b <= 1 << 40:
        return None
    match op:
        case ast.LShift() if b <= LARGEST_BITS:
            return a << b
        case ast.Pow() if a <= 2 and b <= LARGEST_BITS:
            return int(a**b)
        case ast.Mult():
            return a * b
        case ast.Sub():
            return a - b
    return None
