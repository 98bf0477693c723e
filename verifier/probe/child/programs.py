"""Command-line programs that scripts start and a machine may lack: compressors and a source minifier.

Each stands at the end of PATH, so a real one wins. They keep what the caller relies on (what was compressed
comes back, the minified source is the same program), not the sizes: bytes are judged elsewhere. This file is
also the program itself: `python programs.py NAME ARGUMENTS…`, with the standard library alone.
"""

from __future__ import annotations

import functools
import lzma
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MAGIC = b"LRZI"
VALUED = frozenset({"-o", "-L", "-O", "-S", "-w", "-p", "-N", "-U", "-m"})
"""Options of the compressor that take a value."""


def install() -> Path:
    """Put the programs at the end of PATH and return their folder."""
    folder = Path(tempfile.mkdtemp(prefix="programs-"))
    for name in PROGRAMS:
        path = folder / name
        path.write_text(
            f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -S {shlex.quote(__file__)} {name} "$@"\n'
        )
        path.chmod(0o755)
    os.environ["PATH"] = os.pathsep.join(filter(None, (os.environ.get("PATH"), str(folder))))
    _watch()
    return folder


@functools.cache
def _watch() -> None:
    """Hooks cannot be taken away again, so there is one for all installs."""
    sys.addaudithook(_count)


def _count(event: str, args: tuple[Any, ...]) -> None:
    """Note the use of a program that this machine lacks."""
    if event != "subprocess.Popen":
        return
    name = args[1][0] if isinstance(args[1], list | tuple) and args[1] else args[0]
    if str(name) in PROGRAMS and "programs-" in (shutil.which(str(name)) or ""):
        from verifier.probe.child.uses import used

        used(f"program {name}")


def lrzip(arguments: Sequence[str]) -> int:
    """Compress to FILE.lrz, or with -d back; -o names the output, `-` means standard streams."""
    files: list[str] = []
    output = None
    waiting = iter(arguments)
    for each in waiting:
        if each in VALUED:
            value = next(waiting)
            output = value if each == "-o" else output
        elif not each.startswith("-") or each == "-":
            files.append(each)
    back = any(each in ("-d", "--decompress") for each in arguments)
    source = files[0] if files else "-"
    data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    if back and not data.startswith(MAGIC):
        return _fail("lrzip", "not an lrzip file")
    result = lzma.decompress(data[len(MAGIC) :]) if back else MAGIC + lzma.compress(data)
    if output is None and source != "-":
        output = source.removesuffix(".lrz") if back else f"{source}.lrz"
    return _write(output, result)


def pyminify(arguments: Sequence[str]) -> int:
    """The source itself, from a file or from standard input."""
    output = None
    files: list[str] = []
    waiting = iter(arguments)
    for each in waiting:
        if each in ("-o", "--output"):
            output = next(waiting)
        elif not each.startswith("-") or each == "-":
            files.append(each)
    source = files[0] if files else "-"
    return _write(output, sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes())


def _write(output: str | None, data: bytes) -> int:
    if output is None or output == "-":
        sys.stdout.buffer.write(data)
    else:
        Path(output).write_bytes(data)
    return 0


def _fail(name: str, message: str) -> int:
    print(f"{name}: {message}", file=sys.stderr)
    return 1


PROGRAMS = {"lrzip": lrzip, "pyminify": pyminify}

if __name__ == "__main__":
    sys.exit(PROGRAMS[sys.argv[1]](sys.argv[2:]))
