"""Lay out what one run finds: the folder as shipped, the contest's data tree, the job.

Every run of an audit has the same layout under the same absolute path, because real scripts seed random
generators from resolved paths and write fixed names. Shards, tokenizer and byte sidecar have the names
that the contest's own scripts expect.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pgolf.bytes import SPACE_MARKER, ByteTable
from pgolf.shards import write_shard
from pgolf.tokenizer import BOS_ID, cached_tokenizer, load_tokenizer
from verifier.probe.stream import Source, Stream
from verifier.submission import Script

RUN, OUT, DATA, BIN, JOB = "run", "out", "run/data", "bin", "job.json"
TRAIN_TOKENS = 1 << 17
_NVIDIA_SMI = "#!/bin/sh\necho 'NVIDIA-SMI (audit stand-in): no GPU here'\n"


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer of the audit: its file, its drawable ids and its byte table."""

    size: int
    path: Path
    normal_ids: tuple[int, ...]
    table: ByteTable

    @classmethod
    def of_size(cls, size: int) -> Vocabulary:
        """The cached tokenizer of `size` ids, trained from the embedded corpus on first use."""
        path = cached_tokenizer(size)
        sp = load_tokenizer(path)
        special = {i for i in range(size) if sp.is_control(i) or sp.is_unknown(i) or sp.is_unused(i)}
        normal = tuple(i for i in range(size) if i not in special)
        return cls(size, path, normal, ByteTable.from_tokenizer(sp, size))

    def uniform(self) -> Source:
        """Every id that is no control id."""
        return Source("uniform", self.normal_ids, BOS_ID)

    def small(self, count: int) -> Source:
        """`count` ids spread over the vocabulary, so that all classes of token occur."""
        chosen = np.linspace(0, len(self.normal_ids) - 1, count).round().astype(int)
        return Source("small alphabet", tuple(self.normal_ids[i] for i in chosen), BOS_ID)

    def spelling(self) -> Mapping[int, bytes]:
        """The bytes of each normal id where it does not open a document."""
        sp = load_tokenizer(self.path)
        return {
            token: bytes([int(sp.id_to_piece(token)[3:-1], 16)])
            if sp.is_byte(token)
            else sp.id_to_piece(token).replace(SPACE_MARKER, " ", 1).encode()
            for token in self.normal_ids
        }

    def stream_bytes(self, stream: Stream) -> NDArray[np.int64]:
        """True bytes of each stream position; 0 for position 0, which is context."""
        ids = stream.ids.astype(np.int64)
        counted = np.zeros(ids.size, dtype=np.int64)
        counted[1:] = np.asarray(self.table.per_token(ids[:-1], ids[1:]))
        return counted


def data_paths(vocab_size: int) -> dict[str, str]:
    """Values for the path-like variables of contest scripts, relative to the script's folder."""
    return {
        "DATA_PATH": f"./data/datasets/fineweb10B_sp{vocab_size}",
        "DATA_DIR": "./data/",
        "TOKENIZER_PATH": f"./data/tokenizers/fineweb_{vocab_size}_bpe.model",
        "RUN_ID": "audit",
    }


def build(
    tree: Path,
    *,
    folder: Path,
    script: Script,
    stream: Stream,
    vocabulary: Vocabulary,
    train_seed: Sequence[int],
    watch: bool = False,
    replays: Mapping[str, Sequence[int]] | None = None,
    tables: Sequence[int] = (),
) -> None:
    """Fill the empty `tree` for one run; paths in its job file are relative to the tree.

    `tables` are the sizes of hashed tables that this run cuts down to its stream (`stress`).
    """
    run, out = tree / RUN, tree / OUT
    shutil.copytree(folder, run, symlinks=False, ignore_dangling_symlinks=True, ignore=_outside(folder))
    out.mkdir()
    datasets = tree / DATA / "datasets" / f"fineweb10B_sp{vocabulary.size}"
    tokenizers = tree / DATA / "tokenizers"
    datasets.mkdir(parents=True, exist_ok=True)
    tokenizers.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(vocabulary.path, tokenizers / f"fineweb_{vocabulary.size}_bpe.model")
    val = datasets / "fineweb_val_000000.bin"
    write_shard(val, stream.ids)
    if _reads_sidecar(folder, script):
        write_shard(datasets / "fineweb_val_bytes_000000.bin", vocabulary.stream_bytes(stream))
    train = stream.source.draw(TRAIN_TOKENS - 1, tuple(train_seed))
    write_shard(datasets / "fineweb_train_000000.bin", train.ids)
    binaries = tree / BIN
    binaries.mkdir()
    smi = binaries / "nvidia-smi"
    smi.write_text(_NVIDIA_SMI)
    smi.chmod(0o755)
    job = {
        "script": f"{RUN}/{script.path}",
        "out": OUT,
        "data": DATA,
        "val": [str(val.relative_to(tree))],
        "argv": [],
        "fp32": True,
        "lively": True,
        "watch": watch,
        "replays": None if replays is None else {key: list(calls) for key, calls in replays.items()},
        "vocab_size": vocabulary.size,
        "cut": [list(tables), stream.targets] if tables else None,
    }
    (tree / JOB).write_text(json.dumps(job))


def _reads_sidecar(folder: Path, script: Script) -> bool:
    """Whether the script knows of per-token byte counts beside the shards (CaseOps, #1729).

    Only then may the file be there: every other script globs `fineweb_val_*` and would read it as ids.
    """
    siblings = [folder / name for name in script.siblings if name.endswith(".py")]
    texts = [script.source, *(path.read_text(errors="replace") for path in siblings if path.is_file())]
    return any("val_bytes" in text for text in texts)


def _outside(folder: Path):  # type: ignore[no-untyped-def]
    """An ignore function for `copytree`: links out of the folder and special files are not copied."""
    root = folder.resolve()

    def ignored(parent: str, names: list[str]) -> set[str]:
        bad = set()
        for name in names:
            path = Path(parent) / name
            inside = path.resolve().is_relative_to(root)
            if not inside or not (path.is_file() or path.is_dir()):
                bad.add(name)
        return bad

    return ignored
