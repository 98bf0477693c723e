"""`pgolf-verify site INDEX`: a batch as static pages."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from verifier.batch.book import index_at, latest, read_index
from verifier.cli.app import Debug, Quiet, app, examples
from verifier.cli.errors import Stop, told_plainly
from verifier.report.progress import shown_progress
from verifier.site.build import HOME, build_site
from verifier.stage import Stage


@app.command(epilog=examples("site field --out site"))
def site(
    index: Annotated[Path, typer.Argument(metavar="INDEX", help="A batch's index.jsonl, or its folder.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write; an older site is replaced.")],
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a batch as a site: a table, a page for each submission, the frontier.

    `pgolf-verify site pgolf-batch --out site`, then open site/index.html: it needs no server.
    """
    with told_plainly(debug):
        path = index_at(index)
        if not path.exists():
            raise Stop(
                f"there is no {path}",
                expected="the index.jsonl that `pgolf-verify batch` writes, or its folder",
                next="pgolf-verify batch … --out DIR",
            )
        lines = tuple(latest(read_index(path)).values())
        with shown_progress(Console(stderr=True), quiet) as progress:
            progress(Stage(f"writing {len(lines):,} submissions"))
            try:
                entries = build_site(lines, path.parent, out, _cores())
            except OSError as error:
                raise Stop(f"--out {out} cannot be written", found=str(error.strerror)) from None
        print(out / HOME if quiet else f"{len(entries):,} submissions: {out / HOME}")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
