"""`pgolf pack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgolf import console
from pgolf.artifact import load_artifact
from pgolf.cli.options import ARTIFACT, RUN_FOLDER, JsonOption, package_sources
from pgolf.size import CAP_BYTES, SizeReport, count_code


@console.one_line_errors
def pack(
    artifact: Annotated[Path, typer.Argument(help="A model file.")] = RUN_FOLDER / ARTIFACT,
    code: Annotated[list[Path] | None, typer.Option(help="Code files; default: the pgolf package.")] = None,
    cap: Annotated[int, typer.Option(help="Most bytes in all.")] = CAP_BYTES,
    json: JsonOption = False,
) -> None:
    """Count code and model bytes against the cap. Exits with 1 when they are over."""
    load_artifact(artifact)
    report = SizeReport(count_code(code or package_sources()), artifact.stat().st_size, cap)
    if json:
        console.as_json({**vars(report), "total_bytes": report.total_bytes})
    else:
        console.say(str(report))
    if report.spare_bytes < 0:
        raise typer.Exit(1)
