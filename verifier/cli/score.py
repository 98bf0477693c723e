"""`pgolf-verify score INDEX LABELS`: the verdicts of a batch beside what people say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from verifier.batch.book import index_at, read_index
from verifier.cli.app import Debug, Quiet, app, examples
from verifier.cli.errors import Stop, told_plainly
from verifier.cli.output import deliver
from verifier.report.markers import write_between
from verifier.report.scoreboard import print_scoreboard, render_scoreboard, scoreboard_document
from verifier.score import LabelError, read_labels
from verifier.score import score as compared

MARKER = "scoreboard"


@app.command(epilog=examples("score field labels.jsonl --out scoreboard.md"))
def score(
    index: Annotated[Path, typer.Argument(metavar="INDEX", help="A batch's index.jsonl, or its folder.")],
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS", help="JSONL with pr, label, confidence, violations.")
    ],
    page: Annotated[
        Path | None,
        typer.Option("--write", metavar="PAGE.md", help=f"Write it between <!-- {MARKER} --> and its end."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write FILE.md or FILE.json.")] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compare verdicts with labels: confusion matrix, false accusations, misses, and every disagreement."""
    with told_plainly(debug):
        if out is not None and out.suffix not in (".md", ".json"):
            raise Stop(f"--out {out} is of no known kind", expected="a name that ends in .md or .json")
        try:
            board = compared(read_index(index_at(index)), read_labels(labels))
        except LabelError as error:
            raise Stop(
                str(error), expected='one row for each pull request: {"pr": 1430, "label": "illegal"}'
            ) from None
        if quiet:
            print(
                f"{len(board.false_accusations)} false accusations, {len(board.misses)} misses, "
                f"{len(board.not_audited)} without a report"
            )
        else:
            print_scoreboard(board, Console(highlight=False))
        if out is not None:
            deliver(
                scoreboard_document(board) if out.suffix == ".json" else render_scoreboard(board) + "\n", out
            )
        if page is not None:
            try:
                write_between(page, MARKER, render_scoreboard(board))
            except (OSError, ValueError) as error:
                raise Stop(
                    f"--write {page}: {error}", next=f"put <!-- {MARKER} --> and <!-- /{MARKER} --> there"
                ) from None
