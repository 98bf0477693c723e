"""`pgolf-verify render REPORT.json`: another form of a saved report, without another run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from verifier.cli.app import Debug, app, examples
from verifier.cli.errors import Stop, told_plainly
from verifier.cli.output import deliver
from verifier.cli.source import read_saved
from verifier.report.html import render_html
from verifier.report.markdown import render_markdown
from verifier.report.sarif import render_sarif
from verifier.report.store import check_pages


@app.command(
    epilog=examples("render out/report.json --html --out report.html", "render out/report.json --markdown")
)
def render(
    report_file: Annotated[Path, typer.Argument(metavar="REPORT.json")],
    as_html: Annotated[bool, typer.Option("--html", help="One self-contained page.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="A pull-request comment.")] = False,
    as_sarif: Annotated[bool, typer.Option("--sarif", help="SARIF 2.1.0, for code scanning.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there; to stdout when not given.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Write a saved report in another form."""
    with told_plainly(debug):
        wanted = [
            name
            for name, given in (("--html", as_html), ("--markdown", as_markdown), ("--sarif", as_sarif))
            if given
        ]
        if len(wanted) != 1:
            raise Stop(
                "render writes one form at a time",
                expected="one of --html, --markdown and --sarif",
                found=" ".join(wanted) or "none",
            )
        report = read_saved(report_file)
        if as_html:
            text = render_html(report, check_pages(), str(report_file))
        elif as_sarif:
            text = render_sarif(report, check_pages())
        else:
            text = render_markdown(report)
        deliver(text, out)
