"""The commands on data: build shards from text, or download the contest's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from pgolf import console, corpus
from pgolf.build import TokenizerConfig, build_dataset, check_transform
from pgolf.dataset import EMBEDDED_TRAIN_BYTES, EMBEDDED_VAL_BYTES
from pgolf.fineweb import REMOTE_ROOT, REPO_ID, TRAIN_SHARDS, download, hub_fetch
from pgolf.shard_writer import SHARD_TOKENS
from pgolf.splits import SplitRule, Splitter
from pgolf.texts import find_texts

data_app = typer.Typer(no_args_is_help=True, help="Make or download token shards.")


@data_app.command("build")
@console.one_line_errors
def build(
    out: Annotated[Path, typer.Argument(help="Folder for shards and tokenizer.")],
    text: Annotated[
        list[Path] | None,
        typer.Option(help="UTF-8 files, .jsonl files, folders or globs; default: the embedded corpus."),
    ] = None,
    glob: Annotated[str, typer.Option(help="Which files of a folder are read.")] = "**/*",
    tokenizer_type: Annotated[str, typer.Option(help="bpe, or byte for the contest's byte260.")] = "bpe",
    vocab_size: Annotated[int, typer.Option(help="Ids of a bpe tokenizer.")] = 1024,
    case_transform: Annotated[
        bool, typer.Option("--case-transform", help="Lower case with operators, and a raw-byte sidecar.")
    ] = False,
    val_share: Annotated[float, typer.Option(help="Share of the documents kept for validation.")] = 0.05,
    val_docs: Annotated[
        int | None, typer.Option(help="Rather the first so many documents; the contest has 50000.")
    ] = None,
    tokenizer: Annotated[Path | None, typer.Option(help="Use this one, train none.")] = None,
    shard_tokens: Annotated[int, typer.Option(help="Tokens per shard.")] = SHARD_TOKENS,
) -> None:
    """Turn text into shards in the contest's format, and train their tokenizer."""
    config = TokenizerConfig(tokenizer_type, vocab_size, case_transform)
    splitter = Splitter(SplitRule(val_share, val_docs))
    if tokenizer is not None:
        check_transform(tokenizer, case_transform)
    files = None if text is None else find_texts(text, glob)
    text_bytes = EMBEDDED_TRAIN_BYTES if files is None else files.bytes
    with console.progress("reading text") as progress:

        def documents() -> Iterator[tuple[corpus.Split, str]]:
            found = embedded_documents() if files is None else splitter.split(files.documents())
            read_bytes = 0
            for split, document in found:
                yield split, document
                read_bytes += len(document.encode())
                progress(read_bytes, text_bytes)

        built = build_dataset(
            out, documents, tokenizer or config, text_bytes=text_bytes, shard_tokens=shard_tokens
        )
    if files is not None:
        skipped = f", {files.not_text:,} passed over that are not text" if files.not_text else ""
        console.say(f"text: {len(files.paths):,} files, {text_bytes:,} bytes{skipped}")
    for split, counts in built.counts.items():
        bytes_too = "" if counts.original_bytes is None else f", {counts.original_bytes:,} original bytes"
        console.say(
            f"{split}: {counts.documents:,} documents, {counts.tokens:,} tokens, "
            f"{counts.shards} shards{bytes_too}"
        )
    if splitter.dropped:
        console.say(f"dropped: {splitter.dropped:,} documents that the other split already held")
    console.say(f"next: pgolf train --data {out} --tokenizer {built.tokenizer_path}")


@data_app.command("fineweb")
@console.one_line_errors
def fineweb(
    out: Annotated[
        Path, typer.Argument(help="Gets datasets/ and tokenizers/, as the contest's data/.")
    ] = Path("data"),
    variant: Annotated[str, typer.Option(help="sp1024, sp4096, ... or byte260.")] = "sp1024",
    train_shards: Annotated[
        int, typer.Option(help="The first so many, of 100 million tokens each.")
    ] = TRAIN_SHARDS,
    with_docs: Annotated[bool, typer.Option("--with-docs", help="Also the documents' text.")] = False,
    repo: Annotated[str, typer.Option(help="Dataset repository on the hub.")] = REPO_ID,
    remote_root: Annotated[str, typer.Option(help="Folder of the export in it.")] = REMOTE_ROOT,
    endpoint: Annotated[str | None, typer.Option(help="Address of a mirror of the hub.")] = None,
) -> None:
    """Download the contest's published shards. Run it again to go on, or for more shards."""
    fetch = hub_fetch(out, repo, endpoint)
    with console.progress("downloading") as progress:
        dataset = download(
            out,
            variant,
            fetch,
            train_shards=train_shards,
            with_docs=with_docs,
            remote_root=remote_root,
            progress=progress,
        )
    console.say(f"data: {dataset.folder}, {train_shards} training shards")
    console.say(f"next: pgolf train --data {dataset.folder} --tokenizer {dataset.tokenizer_path}")


def embedded_documents() -> Iterator[tuple[corpus.Split, str]]:
    """The embedded corpus with its own splits."""
    for document in corpus.documents("train", EMBEDDED_TRAIN_BYTES):
        yield "train", document
    for document in corpus.documents("val", EMBEDDED_VAL_BYTES):
        yield "val", document
