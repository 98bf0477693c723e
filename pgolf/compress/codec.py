"""The four compressors of the contest's artifacts, each at the setting that was smallest on weights.

Each takes and gives whole byte strings, and refuses to inflate beyond the size that it is told.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import brotli
import zstandard

# Bytes of rounded weights are nearly independent: a literal's place and the byte before it tell nothing.
LZMA_FILTERS: list[dict[str, Any]] = [
    {
        "id": lzma.FILTER_LZMA2,
        "preset": 9 | lzma.PRESET_EXTREME,
        "dict_size": 1 << 24,
        "lc": 0,
        "lp": 0,
        "pb": 0,
    }
]
BROTLI_WINDOW_BITS = 24  # the largest that every brotli reads: 16 MB, the whole artifact


class CodecError(ValueError):
    """The bytes are not what this codec wrote, or hold more than they should."""


@dataclass(frozen=True)
class Codec:
    """A lossless compressor and its inverse."""

    name: str
    number: int
    """Names it inside an artifact; never reused."""
    compress: Callable[[bytes], bytes]
    _inflate: Callable[[bytes, int], bytes]

    def decompress(self, data: bytes, size_bytes: int) -> bytes:
        """What was compressed, of exactly `size_bytes`; never holds much more than that in memory.

        Raises:
            CodecError: damaged data, or another size.
        """
        try:
            body = self._inflate(data, size_bytes)
        except (zlib.error, lzma.LZMAError, brotli.error, zstandard.ZstdError, EOFError) as error:
            raise CodecError(f"cannot decompress: {error}") from None
        if len(body) != size_bytes:
            raise CodecError(f"{len(body):,} bytes after decompression, expected {size_bytes:,}")
        return body


def _inflate_zlib(data: bytes, size_bytes: int) -> bytes:
    stream = zlib.decompressobj()
    body = stream.decompress(data, size_bytes + 1)
    _require_end(stream.eof or len(body) != size_bytes, stream.unused_data)
    return body


def _inflate_zstd(data: bytes, size_bytes: int) -> bytes:
    if zstandard.frame_content_size(data) != size_bytes:
        raise CodecError("the compressed frame's length is not the header's")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=size_bytes, allow_extra_data=False)


def _inflate_lzma(data: bytes, size_bytes: int) -> bytes:
    stream = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=LZMA_FILTERS)
    body = stream.decompress(data, size_bytes + 1)
    _require_end(stream.eof or len(body) != size_bytes, stream.unused_data)
    return body


def _inflate_brotli(data: bytes, size_bytes: int) -> bytes:
    stream = brotli.Decompressor()
    body: bytes = stream.process(data, output_buffer_limit=size_bytes + 1)
    while len(body) <= size_bytes and not stream.is_finished():
        more: bytes = stream.process(b"", output_buffer_limit=size_bytes + 1 - len(body))
        if not more:
            break
        body += more
    _require_end(stream.is_finished() or len(body) != size_bytes, b"")
    return body


def _require_end(ended: bool, rest: bytes) -> None:
    if not ended:
        raise CodecError("the compressed data ends early")
    if rest:
        raise CodecError(f"{len(rest):,} bytes after the end of the compressed data")


ZLIB = Codec("zlib", 1, lambda data: zlib.compress(data, level=9), _inflate_zlib)
ZSTD = Codec("zstd", 2, lambda data: zstandard.ZstdCompressor(level=22).compress(data), _inflate_zstd)
LZMA = Codec(
    "lzma", 3, lambda data: lzma.compress(data, format=lzma.FORMAT_RAW, filters=LZMA_FILTERS), _inflate_lzma
)
BROTLI = Codec(
    "brotli", 4, lambda data: brotli.compress(data, quality=11, lgwin=BROTLI_WINDOW_BITS), _inflate_brotli
)

CODECS = {codec.name: codec for codec in (ZLIB, ZSTD, LZMA, BROTLI)}
