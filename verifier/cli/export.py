"""`pgolf-verify export INDEX`: a batch in the formats of spreadsheets and of CI."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from verifier.batch.book import index_at, latest, read_index
from verifier.cli.app import Debug, app, examples
from verifier.cli.errors import told_plainly
from verifier.cli.output import deliver
from verifier.report.csv import render_csv
from verifier.report.junit import render_junit


class Form(StrEnum):
    CSV = "csv"
    JUNIT = "junit"


RENDERERS = {Form.CSV: render_csv, Form.JUNIT: render_junit}


@app.command(
    epilog=examples(
        "export field --format csv --out field.csv", "export field --format junit --out field.xml"
    )
)
def export(
    index: Annotated[Path, typer.Argument(metavar="INDEX", help="A batch's index.jsonl, or its folder.")],
    form: Annotated[
        Form, typer.Option("--format", help="csv: a row for each submission. junit: a suite for each.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there; to stdout when not given.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Write a batch as a table or as test results."""
    with told_plainly(debug):
        text = RENDERERS[form](tuple(latest(read_index(index_at(index))).values()))
        deliver(text, out)
