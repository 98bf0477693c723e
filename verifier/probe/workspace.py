"""Lay out what one run finds: the folder as shipped, the contest's data tree, the job.

Every run of an audit has the same layout under the same absolute path, because real scripts seed random
generators from resolved paths and write fixed names. Shards, tokenizer and byte sidecar have the names
that the contest's own scripts expect.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pgolf.shards import write_shard
from verifier.probe.device import Device
from verifier.probe.stream import Stream
from verifier.probe.vocabulary import Vocabulary
from verifier.submission import Script

RECORDS = (3, 4)
"""The descriptors that the child's tape goes to: its events and its scores."""
RUN, OUT, DATA, BIN, JOB, WRAPPED = "run", "out", "run/data", "bin", "job.json", "wrapped"
TRAIN_TOKENS = 1 << 17
MAX_TREE_BYTES = 512 << 20
"""Of the submitted folder, in each run's tree: an artifact has 16 MB, logs of real folders a few."""
_NVIDIA_SMI = "#!/bin/sh\necho 'NVIDIA-SMI (audit stand-in): no GPU here'\n"


def build(
    tree: Path,
    *,
    folder: Path,
    script: Script,
    stream: Stream,
    vocabulary: Vocabulary,
    train_seed: Sequence[int],
    sizes: Mapping[str, int],
    device: Device = Device.CPU,
    watch: bool = False,
    replays: Mapping[str, Sequence[int]] | None = None,
    tables: Sequence[int] = (),
) -> None:
    """Fill the empty `tree` for one run; paths in its job file are relative to the tree.

    `tables` are the sizes of hashed tables that this run cuts down to its stream (`stress`).
    """
    build_without_data(tree, folder=folder, vocabulary=vocabulary)
    datasets = tree / DATA / "datasets" / f"fineweb10B_{vocabulary.name}"
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
        "records": list(RECORDS),
        "data": DATA,
        "wrapped": WRAPPED,
        "sizes": dict(sizes),
        "val": [str(val.relative_to(tree))],
        "argv": [],
        "device": str(device),
        "watch": watch,
        "replays": None if replays is None else {key: list(calls) for key, calls in replays.items()},
        "vocab_size": vocabulary.size,
        "cut": [list(tables), stream.targets] if tables else None,
    }
    (tree / JOB).write_text(json.dumps(job))


def build_without_data(tree: Path, *, folder: Path, vocabulary: Vocabulary) -> None:
    """What `build` lays out first: the folder and the tokenizer, and folders without a shard or a job."""
    shutil.copytree(folder, tree / RUN, ignore=_not_copied(folder))
    (tree / OUT).mkdir()
    (tree / DATA / "datasets" / f"fineweb10B_{vocabulary.name}").mkdir(parents=True, exist_ok=True)
    tokenizers = tree / DATA / "tokenizers"
    tokenizers.mkdir(parents=True, exist_ok=True)
    (tokenizers / vocabulary.file_name).write_bytes(vocabulary.file)


def _reads_sidecar(folder: Path, script: Script) -> bool:
    """Whether the script knows of per-token byte counts beside the shards (CaseOps, #1729).

    Only then may the file be there: every other script globs `fineweb_val_*` and would read it as ids.
    """
    siblings = [folder / name for name in script.siblings if name.endswith(".py")]
    texts = [script.source, *(path.read_text(errors="replace") for path in siblings if path.is_file())]
    return any("val_bytes" in text for text in texts)


def _not_copied(folder: Path) -> Callable[[str, list[str]], set[str]]:
    """An ignore function for `copytree`: what is no part of a submission stays where it is.

    That is links out of the folder, links to folders (they may go round), special files, and files beyond
    `MAX_TREE_BYTES` in all: a file of holes takes its whole size when it is copied.
    """
    root, left = folder.resolve(), MAX_TREE_BYTES

    def ignored(parent: str, names: list[str]) -> set[str]:
        nonlocal left
        bad = set()
        for name in names:
            path = Path(parent) / name
            try:
                inside = path.resolve().is_relative_to(root)
                size = path.stat().st_size if inside and path.is_file() else None
            except (OSError, RuntimeError):  # a link that goes round
                inside, size = False, None
            if inside and size is not None and size <= left:
                left -= size
            elif not inside or size is not None or path.is_symlink() or not path.is_dir():
                bad.add(name)
        return bad

    return ignored
