"""Constant folding: the value that an expression of a packed script must have, without running it.

Only literals, names bound to them, and a fixed list of pure functions (base and compression codecs,
string joins, slices) are folded; anything else is `Unknown`. A folded value remembers the codec
layers it came through, so that the caller can say how the script was packed.
"""

from __future__ import annotations

import ast
import lzma
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from verifier.intake import codec
from verifier.intake.codec import MAX_DECODED_BYTES, Layer

_MAX_DEPTH = 200
_MAX_STEPS = 200_000
_MAX_PRODUCED_BYTES = 4 * MAX_DECODED_BYTES


class Unknown(Exception):
    """The expression is not a constant that this module can work out."""


@dataclass(frozen=True)
class Folded:
    """A constant and the codec layers it came through, outermost first."""

    value: Any
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Reference:
    """A dotted name of an imported module, a builtin, or a decoder object with its arguments."""

    path: str
    kwargs: dict[str, Any] = field(default_factory=dict)


_LZMA_NAMES = {
    name: getattr(lzma, name) for name in dir(lzma) if name.startswith(("FORMAT_", "FILTER_", "PRESET_"))
}
_MODULES = {"zstd": "zstandard", "brotlicffi": "brotli", "pyzstd": "zstandard"}

_OPENERS: dict[str, Callable[..., Layer]] = {
    "lzma.decompress": lambda data, format=lzma.FORMAT_AUTO, memlimit=None, filters=None: codec.open_lzma(
        data, format, filters
    ),
    "lzma.LZMADecompressor.decompress": lambda data, format=lzma.FORMAT_AUTO, filters=None, **_: (
        codec.open_lzma(data, format, filters)
    ),
    "lzma.open": lambda data, *_, format=lzma.FORMAT_AUTO, filters=None, **__: codec.open_lzma(
        data, format, filters
    ),
    "zlib.decompress": lambda data, wbits=15, bufsize=0: codec.open_zlib(data, wbits),
    "zlib.decompressobj.decompress": lambda data, wbits=15, **_: codec.open_zlib(data, wbits),
    "gzip.decompress": codec.open_gzip,
    "gzip.open": lambda data, *_, **__: codec.open_gzip(data),
    "gzip.GzipFile": lambda fileobj, **_: codec.open_gzip(fileobj),
    "bz2.decompress": codec.open_bz2,
    "bz2.BZ2Decompressor.decompress": codec.open_bz2,
    "brotli.decompress": codec.open_brotli,
    "zstandard.decompress": lambda data, *_, **__: codec.open_zstd(data),
    "zstandard.ZstdDecompressor.decompress": lambda data, *_, **__: codec.open_zstd(data),
    "base64.b64decode": codec.open_b64,
    "base64.standard_b64decode": codec.open_b64,
    "base64.decodebytes": codec.open_b64,
    "base64.urlsafe_b64decode": codec.open_urlsafe_b64,
    "base64.b85decode": codec.open_b85,
    "base64.a85decode": codec.open_a85,
    "base64.b32decode": codec.open_b32,
    "base64.b16decode": codec.open_hex,
    "binascii.unhexlify": codec.open_hex,
    "binascii.a2b_hex": codec.open_hex,
    "binascii.a2b_base64": codec.open_b64,
    "bytes.fromhex": codec.open_hex,
    "bytearray.fromhex": codec.open_hex,
}
_CODECS_DECODE = {
    "base64": codec.open_b64,
    "hex": codec.open_hex,
    "zlib": codec.open_zlib,
    "zip": codec.open_zlib,
    "bz2": codec.open_bz2,
}
_PASS_THROUGH = {
    *("io.BytesIO", "io.StringIO", "bytes", "bytearray", "memoryview", "compile", "textwrap.dedent"),
    *("Path", "pathlib.Path"),
}
_METHODS = {
    *("decode", "encode", "replace", "strip", "lstrip", "rstrip", "join", "split", "splitlines"),
    *("translate", "removeprefix", "removesuffix"),
}
_READERS = {"read", "getvalue", "tobytes"}


class Scope:
    """Names and what they are bound to, filled statement by statement."""

    def __init__(self) -> None:
        self.names: dict[str, Folded | _Reference | ast.Lambda] = {}
        self.steps = 0
        self.produced = 0

    def bind_import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                module = _MODULES.get(node.module or "", node.module or "")
                self.names[alias.asname or alias.name] = _Reference(f"{module}.{alias.name}")
            else:
                module = _MODULES.get(alias.name, alias.name)
                bound = alias.asname or alias.name.partition(".")[0]
                self.names[bound] = _Reference(module if alias.asname else module.partition(".")[0])

    def bind(self, target: ast.expr, value: ast.expr) -> None:
        """Bind an assignment target; what cannot be folded forgets the old binding."""
        if isinstance(target, ast.Tuple | ast.List):
            if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
                for each, element in zip(target.elts, value.elts, strict=True):
                    self.bind(each, element)
            return
        if not isinstance(target, ast.Name):
            return
        if isinstance(value, ast.Lambda):
            self.names[target.id] = value
            return
        try:
            self.names[target.id] = self._checked(value)
        except Unknown:
            self.names.pop(target.id, None)

    def _made(self, found: Folded) -> Folded:
        """Count what folding produces, so that many small bombs are stopped as one large one is."""
        self.produced += len(found.value) if isinstance(found.value, str | bytes | list) else 0
        if self.produced > _MAX_PRODUCED_BYTES:
            raise codec.TooLarge(f"folding it makes over {_MAX_PRODUCED_BYTES} bytes")
        return found

    def fold(self, node: ast.expr) -> Folded:
        """The constant value of an expression. Raises Unknown, Unreadable or TooLarge."""
        found = self._checked(node)
        if isinstance(found, _Reference):
            raise Unknown(found.path)
        return found

    def _checked(self, node: ast.expr) -> Folded | _Reference:
        """Evaluate; an operation that Python itself would refuse makes the value unknown."""
        try:
            return self.evaluate(node)
        except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, RecursionError) as error:
            raise Unknown(f"{type(error).__name__}: {error}") from error

    def evaluate(self, node: ast.expr, depth: int = 0) -> Folded | _Reference:
        self.steps += 1
        if depth > _MAX_DEPTH or self.steps > _MAX_STEPS:
            raise Unknown("too deep")
        match node:
            case ast.Constant(value=value):
                return Folded(value)
            case ast.Name(id=name):
                bound = self.names.get(name)
                if bound is None:
                    return _Reference(name)
                if isinstance(bound, ast.Lambda):
                    raise Unknown(name)
                return bound
            case ast.Attribute(value=base, attr=attribute):
                return self._attribute(self.evaluate(base, depth + 1), attribute)
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                parts = [self._value(element, depth) for element in elements]
                return Folded([part.value for part in parts], _layers(parts))
            case ast.Dict(keys=keys, values=values):
                pairs = [
                    (self._value(key, depth).value, self._value(value, depth).value)
                    for key, value in zip(keys, values, strict=True)
                    if key is not None
                ]
                return Folded(dict(pairs))
            case ast.JoinedStr(values=values):
                return self._joined(values, depth)
            case ast.BinOp(left=left, op=op, right=right):
                return self._made(_binary(self._value(left, depth), op, self._value(right, depth)))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self._value(operand, depth)
                if isinstance(inner.value, int | float):
                    return Folded(-inner.value)
            case ast.Subscript(value=base, slice=index):
                return self._subscript(self._value(base, depth), index, depth)
            case ast.Call():
                return self._call(node, depth)
            case ast.NamedExpr(target=target, value=value):
                self.bind(target, value)
                return self.evaluate(value, depth + 1)
        raise Unknown(type(node).__name__)

    def _value(self, node: ast.expr, depth: int) -> Folded:
        found = self.evaluate(node, depth + 1)
        if isinstance(found, _Reference):
            raise Unknown(found.path)
        return found

    def _attribute(self, base: Folded | _Reference, attribute: str) -> Folded | _Reference:
        if isinstance(base, Folded):
            raise Unknown(attribute)
        if base.path == "lzma" and attribute in _LZMA_NAMES:
            return Folded(_LZMA_NAMES[attribute])
        if base.path == "zlib" and attribute == "MAX_WBITS":
            return Folded(15)
        return _Reference(f"{base.path}.{attribute}", base.kwargs)

    def _joined(self, values: list[ast.expr], depth: int) -> Folded:
        parts = [
            self._value(value.value if isinstance(value, ast.FormattedValue) else value, depth)
            for value in values
        ]
        if not all(isinstance(part.value, str) for part in parts):
            raise Unknown("f-string")
        return Folded("".join(part.value for part in parts), _layers(parts))

    def _subscript(self, base: Folded, index: ast.expr, depth: int) -> Folded:
        bounds: Any
        if isinstance(index, ast.Slice):
            bounds = slice(
                *(
                    None if p is None else self._value(p, depth).value
                    for p in (index.lower, index.upper, index.step)
                )
            )
        else:
            bounds = self._value(index, depth).value
        try:
            return Folded(base.value[bounds], base.layers)
        except (TypeError, LookupError, ValueError) as error:
            raise Unknown("subscript") from error

    def _call(self, node: ast.Call, depth: int) -> Folded | _Reference:
        function = node.func
        if isinstance(function, ast.Name) and isinstance(lambda_ := self.names.get(function.id), ast.Lambda):
            return self._call_lambda(lambda_, node, depth)
        if isinstance(function, ast.Attribute):
            base = self.evaluate(function.value, depth + 1)
            if isinstance(base, Folded):
                return self._method(base, function.attr, node, depth)
            target = self._attribute(base, function.attr)
        else:
            target = self.evaluate(function, depth + 1)
        if isinstance(target, Folded):
            raise Unknown("call of a constant")
        if target.path in ("__import__", "importlib.import_module"):
            name = str(self._value(node.args[0], depth).value) if node.args else ""
            return _Reference(_MODULES.get(name, name))
        if target.path.rpartition(".")[2] in (
            "LZMADecompressor",
            "decompressobj",
            "ZstdDecompressor",
            "BZ2Decompressor",
        ):
            return _Reference(target.path, self._keywords(node, depth, ("format", "memlimit", "filters")))
        return self._function(target, node, depth)

    def _function(self, target: _Reference, node: ast.Call, depth: int) -> Folded:
        args = [self._value(arg, depth) for arg in node.args]
        if (opener := _OPENERS.get(target.path)) is not None:
            kwargs = {**target.kwargs, **self._keywords(node, depth)}
            layers = _layers(args)
            try:
                layer = opener(*(arg.value for arg in args), **kwargs)
            except (TypeError, AttributeError) as error:
                raise Unknown(target.path) from error
            return self._made(Folded(layer.data, (layer.name, *layers)))
        if target.path in _PASS_THROUGH and args:
            return args[0]
        if target.path == "str" and args:
            return self._method(args[0], "decode", ast.Call(node.func, [], []), depth)
        if target.path == "codecs.decode" and len(args) == 2:
            name = str(args[1].value).removesuffix("_codec")
            if name in _CODECS_DECODE:
                layer = _CODECS_DECODE[name](args[0].value)
                return Folded(layer.data, (layer.name, *args[0].layers))
            return self._method(args[0], "decode", ast.Call(node.func, node.args[1:], []), depth)
        raise Unknown(target.path)

    def _method(self, base: Folded, name: str, node: ast.Call, depth: int) -> Folded:
        if name in _READERS:
            return base
        if name not in _METHODS or not isinstance(base.value, str | bytes):
            raise Unknown(name)
        if isinstance(base.value, str) and name == "decode":
            return base
        args = [self._value(arg, depth) for arg in node.args]
        if name == "replace" and len(base.value) * (1 + len(args[-1].value)) > MAX_DECODED_BYTES:
            raise codec.TooLarge("a replace that would outgrow the limit")
        try:
            value = getattr(base.value, name)(*(arg.value for arg in args), **self._keywords(node, depth))
        except Exception as error:
            raise Unknown(name) from error
        return self._made(Folded(value, _layers([*args, base])))

    def _keywords(self, node: ast.Call, depth: int, positional: tuple[str, ...] = ()) -> dict[str, Any]:
        found = {
            name: self._value(arg, depth).value for name, arg in zip(positional, node.args, strict=False)
        }
        found |= {k.arg: self._value(k.value, depth).value for k in node.keywords if k.arg}
        return found

    def _call_lambda(self, function: ast.Lambda, node: ast.Call, depth: int) -> Folded:
        parameters = [each.arg for each in function.args.args]
        if node.keywords or len(parameters) != len(node.args):
            raise Unknown("lambda")
        saved = dict(self.names)
        try:
            for name, arg in zip(parameters, node.args, strict=True):
                self.names[name] = self._value(arg, depth)
            return self._value(function.body, depth)
        finally:
            self.names = saved


def _layers(parts: list[Folded]) -> tuple[str, ...]:
    """The deepest packing among several operands: a join of packed strings is packed once."""
    return max((part.layers for part in parts), key=len, default=())


def _binary(left: Folded, op: ast.operator, right: Folded) -> Folded:
    layers = _layers([left, right])
    a, b = left.value, right.value
    if isinstance(op, ast.Add) and type(a) is type(b) and isinstance(a, str | bytes | int | list):
        if not isinstance(a, int) and len(a) + len(b) > MAX_DECODED_BYTES:
            raise codec.TooLarge("a concatenation that outgrows the limit")
        return Folded(a + b, layers)
    if isinstance(op, ast.Mult) and isinstance(a, str | bytes) and isinstance(b, int):
        if len(a) * b > MAX_DECODED_BYTES:
            raise codec.TooLarge("a repetition that outgrows the limit")
        return Folded(a * b, layers)
    if isinstance(a, int) and isinstance(b, int) and isinstance(op, ast.Sub | ast.BitOr):
        return Folded(a - b if isinstance(op, ast.Sub) else a | b, layers)
    raise Unknown(type(op).__name__)
