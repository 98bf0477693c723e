"""`pgolf-verify compare CHALLENGER HOLDER`: is one submission a record over another?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from verifier.audit import DEFAULT_TIME_LIMIT_SECONDS, Level, audit
from verifier.challenge import challenge
from verifier.cli.app import Debug, Quiet, TimeLimit, app
from verifier.cli.errors import Stop, told_plainly, unless_nobody_reads
from verifier.cli.source import GitOption, check_folder, checked_out, read_saved
from verifier.report.challenge import render_challenge, render_challenge_json, render_challenge_markdown
from verifier.report.model import Report
from verifier.report.progress import shown_progress

PULL = re.compile(r"#?(\d+)")


@app.command()
def compare(
    challenger: Annotated[
        str, typer.Argument(help="A folder, a saved report.json, or with --git the number of a pull request.")
    ],
    holder: Annotated[str, typer.Argument(help="The same, of the submission that it must beat.")],
    git: GitOption = None,
    level: Annotated[
        Level, typer.Option(help="How far folders and pull requests are audited; a saved report is as it is.")
    ] = Level.STATIC,
    time_limit: TimeLimit = DEFAULT_TIME_LIMIT_SECONDS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print a pull-request comment.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Is CHALLENGER a record over HOLDER? `pgolf-verify compare --git pg.git 1855 1851`

    Welch's test over the seeds, the 0.005-nat margin, and what differs in techniques and findings. Exit 0
    whatever the answer is.
    """
    with told_plainly(debug):
        if as_json and as_markdown:
            raise Stop("--json and --markdown both want stdout", next="run it twice")
        reports = [_report(each, git, level, time_limit, quiet) for each in (challenger, holder)]
        found = challenge(*reports)
        with unless_nobody_reads():
            if as_json:
                print(render_challenge_json(found), end="")
            elif as_markdown:
                print(render_challenge_markdown(found), end="")
            elif quiet:
                print(
                    f"{found.practice.answer} by the final practice, {found.written.answer} by the written rule"
                )
            else:
                render_challenge(found, Console(highlight=False))


def _report(what: str, git: Path | None, level: Level, time_limit: float, quiet: bool) -> Report:
    """Read it, or audit it now."""
    path, number = Path(what), PULL.fullmatch(what)
    if path.is_file():
        return read_saved(path)
    with shown_progress(Console(stderr=True), quiet) as progress:
        if git is not None and number is not None:
            with checked_out(git, int(number[1]), None, None) as checkout:
                return audit(
                    checkout.root,
                    level=level,
                    time_limit_seconds=time_limit,
                    progress=progress,
                    checkout=checkout,
                )
        if number is not None and not path.exists():
            raise Stop(f"there is no folder {what}", next=f"for pull request {number[1]}: --git REPO")
        check_folder(path)
        return audit(path, level=level, time_limit_seconds=time_limit, progress=progress)
