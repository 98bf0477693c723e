"""What the names of a program hold: validation tokens, targets, losses, and keys made from targets.

A label is a bit; `Flow.of(function, expression)` gives the labels of a value. They start at names and
calls whose meaning the contest's scripts share (`val_tokens`, `load_validation_tokens`, `y_batch`,
`nll`, `fineweb_val`), follow assignments, and pass into the parameters of the functions that a value is
handed to and out of their returns. Flow-insensitive within a function, two rounds over the program.

Cannot see: what passes through attributes of objects other than by their name, containers by key, or files.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable

from verifier.static.labels import NONE, Label, called, seed
from verifier.static.program import MODULE, Function, Program

_MOVERS = frozenset(
    re.findall(
        r"\w+",
        """
    to long int float double cpu cuda numpy astype reshape view flatten ravel contiguous clone detach item
    tolist squeeze unsqueeze expand expand_as repeat copy asarray ascontiguousarray array from_numpy
    as_tensor tensor cat concatenate stack hstack roll uint64 int64 int32 uint32 list tuple zip enumerate
    iter next pad T permute transpose type pin_memory clamp clamp_min clip mod remainder split chunk range
    """,
    )
)
_OF_DATA = _MOVERS | frozenset(
    re.findall(
        r"\w+",
        """
    sum mean div mul add sub neg masked_fill where pow sqrt log exp get
    """,
    )
)
"""Methods whose result is made from the object they belong to; of any other call only the arguments count."""
_VIEWS = frozenset({"T", "data", "values", "flat", "mT"})
_TABLE = re.compile(
    r"count|table|bigram|trigram|ngram|cache|hist(?!ory)|freq|(?:^|_)(?:ctx|full|tab)(?:_|$)", re.IGNORECASE
)
_ALL = re.compile(r"^(?:v|vocab|vocab_size|n_vocab|num_tokens|nv)$", re.IGNORECASE)
_MIXING = (ast.BitXor, ast.Add, ast.BitOr)
_SCALING = (ast.Mult, ast.Mod, ast.BitAnd, ast.LShift, ast.RShift, ast.FloorDiv)
ROUNDS = 2
MAX_ORIGIN_DEPTH = 6


def last_name(node: ast.expr) -> str:
    """`save` of `torch.save`, `f` of `f`, else nothing."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def data_names(nodes: Iterable[ast.AST]) -> set[str]:
    """Names and attributes that nodes load, but for what they call: `x` and `y` of `model(x, y)`."""
    found: set[str] = set()
    callees: set[ast.AST] = set()
    for node in nodes:
        if node in callees:
            continue
        match node:
            case ast.Call(func=ast.Name() as function):
                callees.add(function)
            case ast.Call(func=ast.Attribute(attr=attribute) as function) if attribute not in _OF_DATA:
                inner: ast.AST = function
                while isinstance(inner, ast.Attribute):
                    callees.add(inner)
                    inner = inner.value
                if isinstance(inner, ast.Name):
                    callees.add(inner)
            case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name):
                found.add(name)
    return found


class Flow:
    """Labels of the names of every live function."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.names: dict[Function, dict[str, int]] = {function: {} for function in program.functions}
        self._returns: dict[str, int] = {}
        self._defined: dict[Function, dict[str, list[int]]] = {}
        modules = {f.file: f for f in program.functions if f.name == MODULE}
        self._outer = {f: self.names[modules[f.file]] for f in program.functions if f.file in modules}
        self._settled: dict[ast.expr, int] | None = None
        for _ in range(ROUNDS):
            for function in program.functions:
                _Pass(self, function).run()
        self._settled = {}

    seed = staticmethod(seed)

    def name(self, function: Function, name: str) -> int:
        found = self.names[function].get(name, NONE) | self.seed(name)
        if found == NONE:
            return self._outer.get(function, {}).get(name, NONE)
        return found

    def of(self, function: Function, node: ast.expr | None) -> int:
        """The labels of a value."""
        if node is None:
            return NONE
        if self._settled is None:
            return self._of(function, node)
        label = self._settled.get(node)
        if label is None:
            label = self._settled[node] = self._of(function, node)
        return label

    def _of(self, function: Function, node: ast.expr) -> int:
        match node:
            case ast.Name(id=name):
                return self.name(function, name)
            case ast.Call():  # after names the most frequent; no node is of two types
                return self._call(function, node)
            case ast.Constant(value=value):
                return _of_constant(value)
            case ast.Attribute(value=base, attr=name):
                return self.seed(name) | (self.of(function, base) if name in _VIEWS else NONE)
            case ast.Subscript(value=base, slice=index):
                return self._subscript(function, base, index)
            case ast.BinOp(left=left, op=op, right=right):
                return _binary(self.of(function, left), op, self.of(function, right), left, right)
            case ast.UnaryOp(operand=operand) | ast.Starred(value=operand) | ast.Await(value=operand):
                return self.of(function, operand)
            case (
                ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts) | ast.BoolOp(values=parts)
            ):
                return self._union(function, parts)
            case ast.IfExp(body=body, orelse=other):
                return self.of(function, body) | self.of(function, other)
            case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element) | ast.SetComp(elt=element):
                return self.of(function, element)
            case ast.NamedExpr(value=value):
                return self.of(function, value)
            case ast.JoinedStr(values=parts):
                return self._union(function, [p for p in parts if isinstance(p, ast.Constant)])
        return NONE

    def _union(self, function: Function, parts: Iterable[ast.expr]) -> int:
        found = NONE
        for part in parts:
            found |= self.of(function, part)
        return found

    def _subscript(self, function: Function, base: ast.expr, index: ast.expr) -> int:
        held = self.of(function, base)
        if isinstance(index, ast.Slice):
            if held & Label.VAL and isinstance(index.lower, ast.Constant) and index.lower.value == 1:
                return held | Label.TARGET
            return held
        key = self.of(function, index)
        if key & Label.MIXED and not (key & Label.ALL_TOKENS or held & Label.TRAIN):
            return (held & ~Label.LOSS) | Label.LOOKUP
        if isinstance(index, ast.Tuple) and key & Label.TARGET and not key & Label.ALL_TOKENS:
            # counts[context, target]: a row per context. probabilities[arange, target] is the plain gather.
            if _is_table(base):
                return held | Label.LOOKUP
            return held | (Label.AT_TARGET if not held & Label.LOSS else NONE)
        return held

    def _call(self, function: Function, node: ast.Call) -> int:
        name = last_name(node.func)
        says = called(name)
        arguments = self._union(function, node.args)
        for keyword in node.keywords:
            arguments |= self.of(function, keyword.value)
        base = self.of(function, node.func.value) if isinstance(node.func, ast.Attribute) else NONE
        if says.loads:
            return Label.VAL
        if name in _MOVERS:
            return base | arguments
        if name in ("arange", "linspace") and any(_all_tokens(each) for each in node.args):
            return Label.ALL_TOKENS
        if name == "get" and node.args and isinstance(node.args[0], ast.Tuple):
            key = self.of(function, node.args[0])
            others = [p for p in node.args[0].elts if not self.of(function, p) & Label.TARGET]
            return Label.LOOKUP if key & Label.TARGET and others else base
        if name in ("get", "take", "index_select", "gather") and arguments & Label.MIXED:
            return base | Label.LOOKUP
        if name == "gather":
            return base | (Label.AT_TARGET if arguments & Label.TARGET else NONE)
        if name == "bitwise_xor" and arguments & Label.TARGET:
            return arguments | Label.MIXED
        if name in ("exp", "exp_"):
            made = base | arguments
            return (made & ~Label.LOSS) | Label.AT_TARGET if made & Label.LOSS else made
        if name in ("zeros", "zeros_like") and any(k.arg == "requires_grad" for k in node.keywords):
            return Label.FRESH
        if name in ("requires_grad_", "Parameter") and (_is_fresh(node) or (base | arguments) & Label.FRESH):
            return Label.FRESH
        kept = (base | arguments) & (Label.VAL | Label.TRAIN)
        if says.loses:
            return kept | Label.LOSS
        if name in self.program.by_name:
            returned = self._returns.get(name, NONE)
            if says.hashes and arguments & Label.TARGET:
                returned |= Label.MIXED
            return returned | kept
        if says.hashes and arguments & Label.TARGET:
            return kept | Label.MIXED
        if name in (
            "mean",
            "sum",
            "div",
            "mul",
            "float64",
            "log",
            "where",
            "maximum",
            "minimum",
            "masked_select",
        ):
            return base | arguments
        return kept | ((base | arguments) & Label.ALL_TOKENS)

    def bind(self, function: Function, target: ast.expr, label: int) -> None:
        """Give the names of an assignment target a label."""
        if label == NONE:
            return
        match target:
            case ast.Name(id=name):
                names = self.names[function]
                names[name] = names.get(name, NONE) | label
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                for part in parts:
                    self.bind(function, part, label)
            case ast.Starred(value=value):
                self.bind(function, value, label)
            case ast.Subscript(value=base):  # y_batch[i, :n] = chunk[1:]
                self.bind(function, base, label & ~Label.MIXED)

    def origin(self, function: Function, names: Iterable[str], index: int, depth: int = 0) -> int:
        """VAL and TRAIN labels of what names hold at a node: the last assignment above it in the source counts."""
        found = NONE
        for name in names:
            said = self.seed(name) & (Label.VAL | Label.TRAIN)
            if said or depth >= MAX_ORIGIN_DEPTH:
                found |= said
                continue
            before = [each for each in self._definitions(function).get(name, ()) if each < index]
            if not before:
                found |= self.name(function, name) & (Label.VAL | Label.TRAIN)
                continue
            last = before[-1]
            node = function.nodes[last]
            # of a loop its source, not its body
            parts = list(ast.walk(node.iter)) if isinstance(node, ast.For) else function.under(last)
            found |= self.origin(function, data_names(parts) - {name}, last, depth + 1)
        return found

    def _definitions(self, function: Function) -> dict[str, list[int]]:
        """For each name, the indices of the statements that assign it, in source order."""
        known = self._defined.get(function)
        if known is None:
            known = self._defined[function] = defaultdict(list)
            for index in function.of(ast.Assign, ast.AnnAssign, ast.For, ast.AugAssign):
                node = function.nodes[index]
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]  # type: ignore[attr-defined]
                for target in targets:
                    for each in ast.walk(target):
                        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                            known[each.id].append(index)
                    if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
                        known[target.value.id].append(index)
        return known

    def returned(self, name: str, label: int) -> None:
        self._returns[name] = self._returns.get(name, NONE) | label


class _Pass:
    """One round over one function: assignments, loops, calls and returns."""

    def __init__(self, flow: Flow, function: Function) -> None:
        self.flow, self.function = flow, function

    def run(self) -> None:
        flow, function = self.flow, self.function
        for index in function.of(
            ast.Assign, ast.AnnAssign, ast.AugAssign, ast.For, ast.comprehension, ast.Return, ast.Call, ast.withitem,
            ast.NamedExpr,
        ):  # fmt: skip
            node = function.nodes[index]
            match node:
                case ast.Assign(targets=targets, value=value):
                    for target in targets:
                        self.assign(target, value)
                case (
                    ast.AnnAssign(target=target, value=ast.expr() as value)
                    | ast.NamedExpr(target=target, value=value)
                ):
                    self.assign(target, value)
                case ast.AugAssign(target=target, op=op, value=value):
                    label = flow.of(function, value)
                    if isinstance(op, ast.BitXor):
                        label = _binary(flow.of(function, target), op, label, target, value)
                    elif isinstance(target, ast.Name):
                        label &= ~Label.MIXED
                    flow.bind(function, target, label)
                case ast.For(target=target, iter=source) | ast.comprehension(target=target, iter=source):
                    self.assign(target, source)
                case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                    self.assign(target, value)
                case ast.Return(value=ast.expr() as value):
                    flow.returned(function.name, flow.of(function, value))
                case ast.Call():
                    self.call(node)

    def assign(self, target: ast.expr, value: ast.expr) -> None:
        flow, function = self.flow, self.function
        if (
            isinstance(target, ast.Tuple)
            and isinstance(value, ast.Tuple)
            and len(target.elts) == len(value.elts)
        ):
            for each, part in zip(target.elts, value.elts, strict=True):
                self.assign(each, part)
            return
        if (
            isinstance(value, ast.Call)
            and last_name(value.func) in ("zip", "enumerate")
            and isinstance(target, ast.Tuple)
        ):
            parts = target.elts[1:] if last_name(value.func) == "enumerate" else target.elts
            for each, part in zip(parts, value.args, strict=False):
                flow.bind(function, each, flow.of(function, part))
            return
        flow.bind(function, target, flow.of(function, value))

    def call(self, node: ast.Call) -> None:
        """Hand the labels of the arguments to the parameters of the function that is called."""
        flow = self.flow
        called = flow.program.by_name.get(last_name(node.func))
        if called is None or len(called) > 2:
            return
        for function in called:
            method = function.class_name is not None and isinstance(node.func, ast.Attribute)
            parameters = function.parameters[1:] if method else function.parameters
            for parameter, value in zip(parameters, node.args, strict=False):
                self.hand(function, parameter, value)
            for keyword in node.keywords:
                if keyword.arg in function.parameters:
                    self.hand(function, keyword.arg, keyword.value)

    def hand(self, function: Function, parameter: str, value: ast.expr) -> None:
        label = self.flow.of(self.function, value)
        if label:
            names = self.flow.names[function]
            names[parameter] = names.get(parameter, NONE) | label


def _of_constant(value: object) -> int:
    if isinstance(value, str):
        return (Label.VAL if "fineweb_val" in value else NONE) | (
            Label.TRAIN if "fineweb_train" in value else NONE
        )
    return NONE


def _binary(left: int, op: ast.operator, right: int, a: ast.expr, b: ast.expr) -> int:
    both = left | right
    mixes = isinstance(op, _MIXING) and bool(left & Label.TARGET) != bool(right & Label.TARGET)
    if mixes and not isinstance(a, ast.Constant) and not isinstance(b, ast.Constant):
        return both if both & Label.ALL_TOKENS else both | Label.MIXED
    if isinstance(op, (*_SCALING, *_MIXING)):
        return both
    return both & ~(Label.MIXED | Label.TARGET)


def _is_table(node: ast.expr) -> bool:
    while isinstance(node, ast.Subscript):
        node = node.value
    return bool(_TABLE.search(last_name(node)))


def _is_fresh(node: ast.Call) -> bool:
    """`zeros(...).requires_grad_()`, `Parameter(zeros(...))`, `bias.clone().detach().requires_grad_()`."""
    inner: ast.expr | None = node.args[0] if node.args else None
    if isinstance(node.func, ast.Attribute) and node.func.attr == "requires_grad_":
        inner = node.func.value
    copied = False
    while isinstance(inner, ast.Call) and last_name(inner.func) in ("to", "clone", "detach"):
        copied = copied or last_name(inner.func) == "clone"
        inner = inner.func.value if isinstance(inner.func, ast.Attribute) else None
    made = isinstance(inner, ast.Call) and last_name(inner.func) in ("zeros", "zeros_like")
    return made or (copied and isinstance(inner, ast.Name))


def _all_tokens(node: ast.expr) -> bool:
    return bool(_ALL.match(last_name(node)))
