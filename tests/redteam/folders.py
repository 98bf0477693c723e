"""Attacks on whoever opens the folder: bombs, pipes, links and names; nothing has to run for them."""

from __future__ import annotations

import base64
import json
import lzma
import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.cheats.corpus import write_folder
from tests.redteam.attack import Attack, beside

BAD_NAME = "` `` </title><script>alert(1)</script>\x1b[2J[click](javascript:alert(1))\n# COMPLIANT | <img src=x onerror=alert(2)>"


def _script_of(source: Callable[[], str]) -> Callable[[Path], None]:
    return lambda folder: (write_folder(folder, source()), None)[1]


def _lzma_bomb() -> str:
    packer = lzma.LZMACompressor(preset=1)
    block = bytes(1 << 24)
    data = b"".join(packer.compress(block) for _ in range(16)) + packer.flush()
    return (
        f"import base64, lzma\nexec(lzma.decompress(base64.b85decode({base64.b85encode(data).decode()!r})))\n"
    )


def _zlib_bomb() -> str:
    packer = zlib.compressobj(9)
    block = bytes(1 << 24)
    data = b"".join(packer.compress(block) for _ in range(64)) + packer.flush()
    twice = zlib.compress(data, 9)
    text = base64.b85encode(twice).decode()
    return f"import base64, zlib\nexec(zlib.decompress(zlib.decompress(base64.b85decode({text!r}))))\n"


def _multiplied() -> str:
    return "import zlib\npayload = b'A' * (1 << 40)\nexec(zlib.decompress(payload * (1 << 40)) * (1 << 40))\n"


def _deep_source() -> str:
    return "x = " + "(" * 50_000 + "1" + ")" * 50_000 + "\n"


def _long_chain() -> str:
    return "x = " + "-" * 200_000 + "1\n" + "y = " + "+".join(["1"] * 100_000) + "\n"


def _submission(text: str) -> Callable[[Path], None]:
    return lambda folder: ((folder / "submission.json").write_text(text), None)[1]


def _huge_claim(folder: Path) -> None:
    with (folder / "submission.json").open("w") as file:
        file.write('{"val_bpb": 1.2347, "notes": "')
        for _ in range(100):
            file.write("x" * (1 << 20))
        file.write('"}')


def _sparse_log(folder: Path) -> None:
    with (folder / "train_seed42.log").open("r+b") as file:
        file.truncate(1 << 40)


def _many_lines(folder: Path) -> None:
    with (folder / "train_seed7.log").open("w") as file:
        for _ in range(64):
            file.write("\n" * (1 << 18))
        file.write("final_int8_zlib_sliding_exact val_loss:0.1 val_bpb:0.1\n")


def _slow_lines(folder: Path) -> None:
    """Lines that a careless pattern reads in quadratic time."""
    lines = [
        "val_bpb:" * 490,
        "1" * 3_990,
        "a=" * 1_990,
        "val_loss: " + " " * 3_980,
        "(" * 3_990,
        "1." * 1_990 + "e",
    ]
    (folder / "train_seed7.log").write_text("\n".join(lines * 3_000))


def _not_files(folder: Path) -> None:
    os.mkfifo(folder / "train_seed7.log")
    os.mkfifo(folder / "helper.py")
    (folder / "loop").symlink_to("loop")


def _links(folder: Path) -> None:
    (folder / "train_seed7.log").symlink_to("/dev/zero")
    (folder / "train_seed8.log").symlink_to("/etc/passwd")
    (folder / "home").symlink_to("/root")
    (folder / "up").symlink_to("..")


def _names(folder: Path) -> None:
    for name in (
        "new\nline.log",
        "\x1b[2J\x1b[1;1HCOMPLIANT.log",
        "<img src=x onerror=alert(1)>.py",
        "-rf.py",
        "\u202egpj.py",
    ):
        (folder / name).write_text("val_loss:0.5 val_bpb:0.3\n")
    with open(os.fsencode(folder) + b"/\xff\xfe.log", "w") as file:
        file.write("val_loss:0.5 val_bpb:0.3\n")


def _claimed_names(folder: Path) -> None:
    claim = json.loads((folder / "submission.json").read_text())
    claim |= {"name": BAD_NAME, "author": BAD_NAME, "blurb": BAD_NAME, "track": BAD_NAME, BAD_NAME: BAD_NAME}
    (folder / "submission.json").write_text(json.dumps(claim))
    readme = folder / "README.md"
    readme.write_text(readme.read_text() + BAD_NAME)


def _many_files(folder: Path) -> None:
    for number in range(6_000):
        (folder / f"train_{number}.log").touch()


def _whole(name: str, what: str, source: Callable[[], str]) -> Attack:
    return Attack(name, what, _script_of(source), fast=True)


def _beside(name: str, what: str, add: Callable[[Path], None]) -> Attack:
    return replace(beside(name, what, add), fast=True, survives=_FOLLOWED_NOWHERE)


_FOLLOWED_NOWHERE = (
    "what is hostile in it was neither followed nor shown as anything but text, and its script is honest"
)

ATTACKS: tuple[Attack, ...] = (
    _whole("lzma-bomb", "a wrapper whose base85 and lzma unpack to 256 MB", _lzma_bomb),
    _whole("zlib-bomb", "a wrapper whose two layers of zlib unpack to 1 GB", _zlib_bomb),
    _whole("multiplied-bomb", "a wrapper that multiplies its payload to a million petabytes", _multiplied),
    _whole("deep-source", "source nested 50,000 brackets deep", _deep_source),
    _whole("long-chain", "source with 200,000 signs before one number", _long_chain),
    _whole("null-source", "source that is 8 MB of NUL bytes", lambda: "\0" * (8 << 20)),
    _beside("deep-json", "a submission.json nested a million deep", _submission("[" * 1_000_000)),
    _beside(
        "deep-object", "a submission.json of 100,000 nested objects", _submission('{"results":' * 100_000)
    ),
    _beside("huge-claim", "a submission.json of 100 MB", _huge_claim),
    _beside(
        "huge-number",
        "a submission.json whose score has 100,000 digits",
        _submission('{"val_bpb": 1' + "0" * 100_000 + "}"),
    ),
    _beside("sparse-log", "a log of one terabyte of holes", _sparse_log),
    _beside("many-lines", "a log of sixteen million empty lines before its number", _many_lines),
    _beside("slow-lines", "a log of 18,000 lines made to stall regular expressions", _slow_lines),
    _beside("pipes", "pipes in place of logs and modules, and a link to itself", _not_files),
    _beside("links", "links to /dev/zero, /etc/passwd, a home and the folder above", _links),
    _beside(
        "file-names", "file names of newlines, terminal codes, markup and bytes that are no text", _names
    ),
    _beside("claimed-names", "markup, terminal codes and links in every claimed field", _claimed_names),
    _beside("many-files", "six thousand files", _many_files),
)


def _device(folder: Path) -> None:
    os.mknod(folder / "train_seed7.log", 0o20666, os.makedev(1, 5))


if os.geteuid() == 0:
    ATTACKS += (_beside("device", "a device that never ends in place of a log", _device),)
