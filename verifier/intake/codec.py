"""Bounded decoders for packed scripts: each opens one layer and stops at a byte limit.

The input is hostile, so no decoder here may produce more than `MAX_DECODED_BYTES` or honour a
dictionary size that would; an archive that wants more raises `TooLarge`, anything broken `Unreadable`.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import brotli
import zstandard

MAX_DECODED_BYTES = 64 << 20  # the largest payload among 2,059 real ones is 0.4 MB
_MAX_DICTIONARY_BYTES = 128 << 20


class Unreadable(Exception):
    """The layer does not decode."""


class TooLarge(Exception):
    """The layer decodes to more than `MAX_DECODED_BYTES`."""


@dataclass(frozen=True)
class Layer:
    """One opened layer: its bytes, and the name of the codec as reports print it."""

    data: bytes
    name: str


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_DECODED_BYTES:
        raise TooLarge(f"decodes to over {MAX_DECODED_BYTES} bytes")
    return data


def open_lzma(
    data: bytes, format: int = lzma.FORMAT_AUTO, filters: Sequence[Mapping[str, Any]] | None = None
) -> Layer:
    """An xz, lzma-alone or raw stream, as `lzma.decompress` takes them."""
    name = {lzma.FORMAT_XZ: "lzma_xz", lzma.FORMAT_ALONE: "lzma_alone"}.get(format)
    if name is None and format != lzma.FORMAT_RAW:
        name = "lzma_xz" if data.startswith(b"\xfd7zXZ\0") else "lzma_alone"
    if name is None:
        last = (filters or [{}])[-1].get("id", 0)
        name = {lzma.FILTER_LZMA2: "lzma_raw2", lzma.FILTER_LZMA1: "lzma_raw1"}.get(last, "lzma_raw")
        for each in filters or ():
            if int(each.get("dict_size", 0)) > _MAX_DICTIONARY_BYTES:
                raise TooLarge(f"lzma filter asks for a dictionary of {each['dict_size']} bytes")
    try:
        decoder = (
            lzma.LZMADecompressor(format, filters=[dict(each) for each in filters or ()])
            if format == lzma.FORMAT_RAW
            else lzma.LZMADecompressor(format, memlimit=_MAX_DICTIONARY_BYTES)
        )
        return Layer(_bounded(decoder.decompress(data, MAX_DECODED_BYTES + 1)), name)
    except (lzma.LZMAError, ValueError, TypeError, OverflowError) as error:
        raise Unreadable(f"{name}: {error}") from error


def open_zlib(data: bytes, wbits: int = zlib.MAX_WBITS) -> Layer:
    """A zlib, gzip or raw deflate stream, by `wbits` as `zlib.decompress` takes it."""
    name = "zlib" if 0 <= wbits <= 15 else "gzip" if wbits > 15 else "deflate"
    try:
        decoder = zlib.decompressobj(wbits)
        return Layer(_bounded(decoder.decompress(data, MAX_DECODED_BYTES + 1)), name)
    except (zlib.error, ValueError, OverflowError) as error:
        raise Unreadable(f"{name}: {error}") from error


def open_gzip(data: bytes) -> Layer:
    return open_zlib(data, 31)


def open_bz2(data: bytes) -> Layer:
    try:
        return Layer(_bounded(bz2.BZ2Decompressor().decompress(data, MAX_DECODED_BYTES + 1)), "bz2")
    except (OSError, ValueError) as error:
        raise Unreadable(f"bz2: {error}") from error


def open_brotli(data: bytes) -> Layer:
    out = bytearray()
    try:
        decoder = brotli.Decompressor()
        out += decoder.process(data, output_buffer_limit=1 << 20)
        while len(out) <= MAX_DECODED_BYTES and not decoder.is_finished():
            if decoder.can_accept_more_data():
                raise Unreadable("brotli: the stream is cut off")
            out += decoder.process(b"", output_buffer_limit=1 << 20)
    except brotli.error as error:
        raise Unreadable(f"brotli: {error}") from error
    return Layer(_bounded(bytes(out)), "brotli")


def open_zstd(data: bytes) -> Layer:
    try:
        reader = zstandard.ZstdDecompressor(max_window_size=_MAX_DICTIONARY_BYTES).stream_reader(data)
        return Layer(_bounded(reader.read(MAX_DECODED_BYTES + 1)), "zstd")
    except (zstandard.ZstdError, ValueError, MemoryError) as error:
        raise Unreadable(f"zstd: {error}") from error


def _base(name: str, decode: Callable[..., bytes]) -> Callable[..., Layer]:
    def open_base(data: bytes | str, *args: Any, **kwargs: Any) -> Layer:
        try:
            return Layer(_bounded(decode(data, *args, **kwargs)), name)
        except (ValueError, TypeError, binascii.Error) as error:
            raise Unreadable(f"{name}: {error}") from error

    return open_base


open_b64 = _base("b64", base64.b64decode)
open_urlsafe_b64 = _base("b64", base64.urlsafe_b64decode)
open_b85 = _base("b85", base64.b85decode)
open_a85 = _base("a85", base64.a85decode)
open_b32 = _base("b32", base64.b32decode)
open_hex = _base("hex", lambda data: bytes.fromhex(data if isinstance(data, str) else data.decode("ascii")))
