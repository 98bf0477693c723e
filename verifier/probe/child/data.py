"""The audit's data under the paths that a script composes by itself.

Most scripts take their data folder from the environment, and the runner sets it. Others write it down:
`./datasets/fineweb10B_sp8192_…/fineweb_val_*.bin`, a shard in the working directory, a tokenizer beside the
script. When such a path is looked for and not there, a link to the audit's own file is put in its place
first. Files that a script writes are never met: they exist, or are opened for writing.
"""

from __future__ import annotations

import glob
import os
import re
import sys
from pathlib import Path
from typing import Any

from verifier.probe.child.uses import stand_in, used

_SHARD = re.compile(
    r"^(?:[\w.*-]*fineweb[\w.*-]*_)?(?P<split>train|val)(?P<bytes>_bytes)?(?:_sp\d+|[_\d*?\[\]-])*\.bin$"
)
_TOKENIZER = re.compile(r"^[\w.-]*(?:fineweb|bpe|sp\d|spm|token|unigram)[\w.-]*\.model$", re.IGNORECASE)
_FOLDER = re.compile(r"^[\w-]*fineweb[\w-]*$", re.IGNORECASE)
_WRITES = frozenset("wxa+")


class Provider:
    """Links the audit's files to where they are looked for. Paths are of the audit's own data tree."""

    def __init__(self, data: Path) -> None:
        self._shards = next(iter(sorted((data / "datasets").glob("*"))), None)
        self._tokenizer = next(iter(sorted((data / "tokenizers").glob("*.model"))), None)
        self._busy = False

    def look(self, path: Any) -> None:
        """A file, a pattern or a folder is about to be looked for."""
        if self._busy or not isinstance(path, str | bytes | os.PathLike):
            return
        self._busy = True
        try:
            self._provide(os.fsdecode(path))
        except (OSError, ValueError):
            pass  # a folder that cannot be made: the script's own error says what it looked for
        finally:
            self._busy = False

    def _provide(self, path: str) -> None:
        folder, name = os.path.split(path)
        if name.endswith((".bin", ".model")):
            if not _is_there(path) and (source := self.source(name)) is not None:
                self._link(source, Path(folder) / _concrete(name))
        elif self._shards is not None and _FOLDER.match(name) and not os.path.lexists(path):
            self._link(self._shards, Path(path))

    def source(self, name: str) -> Path | None:
        """The audit's file for a file name or pattern, if the name says that it is data of the contest."""
        if _TOKENIZER.match(name):
            return self._tokenizer
        shard = _SHARD.match(name)
        if shard is None or self._shards is None:
            return None
        kind = f"{shard['split']}_bytes" if shard["bytes"] else shard["split"]
        found = self._shards / f"fineweb_{kind}_000000.bin"
        return found if found.exists() else None

    def _link(self, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source)
        used("data found under the script's own path")


def _is_there(path: str) -> bool:
    return bool(glob.glob(path)) if glob.has_magic(path) else os.path.lexists(path)


def _concrete(name: str) -> str:
    """A file name that the pattern matches."""
    return re.sub(r"\[(.)[^\]]*\]", r"\1", name).replace("*", "000000").replace("?", "0")


def install(provider: Provider) -> None:
    """Ask `provider` before every search, listing, opening for reading and test for existence."""

    def audit(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            mode, flags = args[1], args[2]
            reads = not _WRITES & set(mode) if isinstance(mode, str) else not flags & os.O_CREAT
            if reads:
                provider.look(args[0])
        elif event in ("glob.glob", "os.listdir", "os.scandir"):
            provider.look(args[0])
        elif event == "pathlib.Path.glob":
            provider.look(os.path.join(args[0], args[1]))

    sys.addaudithook(audit)
    plain_stat = os.stat

    def stat(path: Any, *args: Any, **kwargs: Any) -> os.stat_result:
        provider.look(path)
        return plain_stat(path, *args, **kwargs)

    stand_in(os, stat=stat)
    _install_tokenizer(provider)


def _install_tokenizer(provider: Provider) -> None:
    """sentencepiece opens its file in C++, which no hook sees."""
    try:
        import sentencepiece
    except ImportError:
        return
    processor = sentencepiece.SentencePieceProcessor
    load = processor.LoadFromFile

    def load_from_file(self: Any, arg: Any) -> Any:
        provider.look(arg)
        return load(self, arg)

    stand_in(processor, LoadFromFile=load_from_file)
