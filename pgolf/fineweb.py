"""The contest's published FineWeb shards, downloaded from the Hugging Face hub.

The layout is that of the contest's data/cached_challenge_fineweb.py: a manifest names the datasets
(`fineweb10B_sp1024`, `fineweb10B_byte260`), how many shards each has and which tokenizer made them;
validation always comes whole, training as the first so many shards. Here `datasets/` and `tokenizers/` of
the repository's root end in the folder that is asked for, as they do there in `data/`.

Files arrive in `.incoming`, where the hub's own library resumes what was interrupted, and move to their
places when they are whole and their headers are right. What is in place and right is not fetched again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pgolf.dataset import Dataset
from pgolf.shards import HEADER_BYTES, TOKEN_BYTES, ShardError, read_shard
from pgolf.tokenizer import TokenizerError, load_tokenizer

REPO_ID = "willdepueoai/parameter-golf"
REMOTE_ROOT = "datasets"
TRAIN_SHARDS = 80  # the contest's default: 8 billion tokens
SHARD_TOKENS = 10**8
INCOMING = ".incoming"

Fetch = Callable[[str], Path]
"""Brings the file at a path of the repository to this machine, and says where it is."""


class DownloadError(ValueError):
    """The published data are not as expected, or cannot be fetched. The message says what to do."""


@dataclass(frozen=True)
class Published:
    """What a manifest says of one variant."""

    name: str
    """As in `fineweb10B_sp1024`."""
    train_shards: int
    val_shards: int
    val_tokens: int | None
    vocab_size: int | None
    shard_tokens: int
    tokenizer_files: tuple[str, ...]
    """Paths below the remote root; the first is the one to load."""

    @property
    def shard_bytes(self) -> int:
        return HEADER_BYTES + self.shard_tokens * TOKEN_BYTES


def dataset_name(variant: str) -> str:
    """`fineweb10B_<variant>` for `byte260` and for `sp` with a number."""
    if variant == "byte260" or (variant.startswith("sp") and variant[2:].isdecimal()):
        return f"fineweb10B_{variant}"
    raise DownloadError(f"unknown variant {variant!r}; expected byte260 or sp<ids>, such as sp1024")


def read_manifest(path: Path, variant: str) -> Published:
    """The entry of one variant in a downloaded manifest; DownloadError where it is not there or not whole."""
    name = dataset_name(variant)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        datasets = {entry["name"]: entry for entry in manifest["datasets"]}
        tokenizers = {entry["name"]: entry for entry in manifest["tokenizers"]}
    except (ValueError, KeyError, TypeError) as error:
        raise DownloadError(f"{path} is not a manifest of datasets and tokenizers ({error!r})") from None
    if name not in datasets:
        raise DownloadError(f"the manifest has no {name}; it has {', '.join(sorted(datasets)) or 'nothing'}")
    entry = datasets[name]
    try:
        stats = entry["stats"]
        tokenizer = tokenizers[entry["tokenizer_name"]]
        files = tuple(tokenizer[key] for key in ("model_path", "vocab_path", "path") if tokenizer.get(key))
        published = Published(
            name,
            int(stats["files_train"]),
            int(stats["files_val"]),
            None if stats.get("tokens_val") is None else int(stats["tokens_val"]),
            entry.get("vocab_size"),
            int(manifest.get("shard_size") or SHARD_TOKENS),
            files,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DownloadError(f"the manifest's entry for {name} is not whole ({error!r})") from None
    if not files or any(not _stays_below(file) for file in files):
        raise DownloadError(
            f"the manifest gives {name} the tokenizer files {list(files)}; expected paths in it"
        )
    return published


def download(
    out: Path,
    variant: str,
    fetch: Fetch,
    *,
    train_shards: int = TRAIN_SHARDS,
    with_docs: bool = False,
    remote_root: str = REMOTE_ROOT,
    progress: Callable[[float, float], None] | None = None,
) -> Dataset:
    """Bring one variant into `out/datasets/` and `out/tokenizers/`. May be called again to go on, or for more.

    `with_docs` also brings docs_selected.jsonl, the text that all variants were made from.

    Raises:
        DownloadError: no such variant, fewer shards published than asked for, too little disk space, or files
            that are not what the manifest says.
        OSError: the network or the disk failed. What has arrived is kept.
    """
    if train_shards < 0:
        raise DownloadError(f"train_shards must be at least 0, got {train_shards}")
    dataset_name(variant)
    root = f"{remote_root}/" if remote_root else ""
    manifest = fetch(f"{root}manifest.json")
    published = read_manifest(manifest, variant)
    if train_shards > published.train_shards:
        raise DownloadError(
            f"{train_shards} training shards asked for; {published.name} has {published.train_shards}"
        )
    folder = f"datasets/{published.name}"
    shards = [f"{folder}/fineweb_val_{i:06d}.bin" for i in range(published.val_shards)]
    shards += [f"{folder}/fineweb_train_{i:06d}.bin" for i in range(train_shards)]
    others = list(published.tokenizer_files)
    if with_docs:
        others += ["docs_selected.jsonl", "docs_selected.source_manifest.json"]
    missing = [name for name in others if not (out / name).is_file()]
    missing += [name for name in shards if not _is_whole(out / name)]
    check_space(out, sum(name in shards for name in missing) * published.shard_bytes)
    for done, name in enumerate(missing):
        arrived = fetch(root + name)
        if name in shards:
            _check_arrived(arrived)
        _put(arrived, out / name)
        if progress is not None:
            progress(done + 1, len(missing))
    _check_published(out, published)
    _put(manifest, out / "manifest.json")
    shutil.rmtree(out / INCOMING, ignore_errors=True)
    return Dataset(out / folder, out / published.tokenizer_files[0])


def hub_fetch(out: Path, repo_id: str = REPO_ID, endpoint: str | None = None) -> Fetch:
    """Fetches from a dataset repository of the hub into `out/.incoming`. Another `endpoint` is a mirror.

    Raises:
        DownloadError: huggingface_hub is not installed; from the function: the hub does not have the file.
    """
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, HFValidationError, RepositoryNotFoundError
    except ImportError:
        raise DownloadError(
            "downloading needs the huggingface_hub package; pip install 'pgolf-verify[data]'"
        ) from None

    def fetch(remote: str) -> Path:
        try:
            where: Any = hf_hub_download(
                repo_id, remote, repo_type="dataset", local_dir=out / INCOMING, endpoint=endpoint
            )
        except (EntryNotFoundError, RepositoryNotFoundError, HFValidationError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise DownloadError(f"cannot fetch {remote} of the dataset {repo_id}: {reason}") from None
        return Path(where)

    return fetch


def check_space(out: Path, needed_bytes: int) -> None:
    """DownloadError where the disk that holds `out` has less than `needed_bytes` free."""
    existing = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    free_bytes = shutil.disk_usage(existing).free
    if free_bytes < needed_bytes:
        raise DownloadError(
            f"{needed_bytes / 1e9:.1f} GB of shards to fetch, {free_bytes / 1e9:.1f} GB free at {existing}; "
            "ask for fewer training shards, or choose another folder"
        )


def _is_whole(path: Path) -> bool:
    try:
        read_shard(path, memmap=True)
    except ShardError:
        return False
    return True


def _check_arrived(path: Path) -> None:
    try:
        read_shard(path, memmap=True)
    except ShardError as error:
        path.unlink(missing_ok=True)  # or it would be taken for done when the download goes on
        raise DownloadError(f"a damaged shard arrived and was removed, try again: {error}") from None


def _check_published(out: Path, published: Published) -> None:
    """What has arrived is what the manifest says, as far as it says so."""
    folder = out / "datasets" / published.name
    val = [folder / f"fineweb_val_{i:06d}.bin" for i in range(published.val_shards)]
    held = sum(read_shard(path, memmap=True).size for path in val)
    if published.val_tokens is not None and held != published.val_tokens:
        raise DownloadError(
            f"the validation shards in {folder} hold {held:,} tokens, the manifest says "
            f"{published.val_tokens:,}; remove them and download again"
        )
    path = out / published.tokenizer_files[0]
    ids = load_tokenizer(path).vocab_size()
    if published.vocab_size is not None and ids != published.vocab_size:
        raise TokenizerError(
            f"{path} has {ids} ids, the manifest says {published.vocab_size}; remove it and download again"
        )


def _put(arrived: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    os.replace(arrived, place)


def _stays_below(path: str) -> bool:
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts
