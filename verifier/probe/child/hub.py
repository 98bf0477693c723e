"""`huggingface_hub` without a network: the contest's data comes from the audit, all else is offline.

Scripts download a tokenizer or shards at their start. Names of such files are answered with the audit's own
ones, under the path that the caller asked for.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import types
from pathlib import Path
from typing import Any

from verifier.probe.child.data import Provider
from verifier.probe.child.uses import used


class Offline(OSError):
    """What the package raises without a network, under each of its names."""


class Hub:
    """The two functions of the package that scripts call."""

    def __init__(self, provider: Provider, data: Path) -> None:
        self._provider = provider
        self._data = data

    def hf_hub_download(
        self,
        repo_id: str,
        filename: str,
        *_: Any,
        subfolder: str | None = None,
        local_dir: str | os.PathLike[str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        **__: Any,
    ) -> str:
        """The path of the file in `local_dir`, or in a new folder of its own."""
        source = self._provider.source(os.path.basename(filename))
        if source is None:
            raise Offline(f"{filename} of {repo_id}: the audit runs offline, and this is not its data")
        used("huggingface_hub")
        folder = Path(local_dir or cache_dir or tempfile.mkdtemp(prefix="hub-"))
        target = folder / (subfolder or "") / filename
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        return str(target)

    def snapshot_download(
        self, repo_id: str, *_: Any, local_dir: str | os.PathLike[str] | None = None, **__: Any
    ) -> str:
        """A folder with the audit's `datasets` and `tokenizers`."""
        used("huggingface_hub")
        folder = Path(local_dir or tempfile.mkdtemp(prefix="hub-"))
        shutil.copytree(self._data, folder, dirs_exist_ok=True)
        return str(folder)

    def module(self, name: str) -> types.ModuleType:
        """`huggingface_hub` or one of its submodules."""
        made = types.ModuleType(name)
        made.__path__ = []
        made.hf_hub_download = self.hf_hub_download  # type: ignore[attr-defined]
        made.snapshot_download = self.snapshot_download  # type: ignore[attr-defined]
        made.__getattr__ = _member  # type: ignore[method-assign]
        return made


def _member(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name.endswith(("Error", "Exception")):
        return Offline

    def refuse(*_: Any, **__: Any) -> Any:
        raise Offline(f"huggingface_hub.{name}: the audit runs offline")

    return refuse
