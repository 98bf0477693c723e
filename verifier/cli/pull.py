"""`pgolf-verify pull-audit` and `pull-publish`: the two halves of a pull-request workflow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from verifier.audit import DEFAULT_TIME_LIMIT_SECONDS, Level
from verifier.cli.app import Debug, Quiet, app, examples
from verifier.cli.errors import INTERRUPTED, Stop, fail, stoppable, told_plainly
from verifier.cli.output import make_folder
from verifier.intake.git import open_repository
from verifier.pull.github import API, REPOSITORY, ApiError, GitHub
from verifier.pull.handover import INDEX, HandoverError
from verifier.pull.publish import publish
from verifier.pull.work import audit_pull
from verifier.report.progress import shown_progress
from verifier.report.terminal import render_line
from verifier.verdict import Call

TOKEN = "GITHUB_TOKEN"
BOT = "github-actions[bot]"
WORST_FIRST = (Call.NON_COMPLIANT, Call.NEEDS_REVIEW, Call.COMPLIANT)

PullNumber = Annotated[int, typer.Option("--pr", min=1, metavar="N", help="The pull request's number.")]


@app.command("pull-audit", epilog=examples("pull-audit --pr 12 --base main --head HEAD --out handover"))
def pull_audit(
    pr: PullNumber,
    base: Annotated[str, typer.Option(metavar="COMMIT", help="What it would be merged into.")],
    head: Annotated[str, typer.Option(metavar="COMMIT", help="Its last commit.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="For pull.json and a folder for each report.")],
    git: Annotated[Path, typer.Option(metavar="REPO", help="A clone that holds both.")] = Path("."),
    level: Annotated[Level, typer.Option(help="How far each audit goes.")] = Level.PROBES,
    time_limit: Annotated[
        float, typer.Option("--time-limit", min=1.0, metavar="SECONDS", help="Of the probes of one folder.")
    ] = DEFAULT_TIME_LIMIT_SECONDS,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Audit each submission folder that a pull request adds. Needs no token; the worst verdict is the exit code."""
    with told_plainly(debug), stoppable():
        repository = open_repository(git)
        make_folder(out, "--out")
        try:
            with shown_progress(Console(stderr=True), quiet, time_limit) as progress:
                reports = audit_pull(
                    repository,
                    pr=pr,
                    base=base,
                    head=head,
                    out=out,
                    level=level,
                    time_limit_seconds=time_limit,
                    progress=progress,
                )
        except KeyboardInterrupt:
            fail(f"interrupted; {out} has what was audited so far, and no {INDEX}", INTERRUPTED, {})
        if not reports and not quiet:
            print("no submission folder is added")
        for report in reports:
            print(render_line(report))
        worst = [each.verdict for call in WORST_FIRST for each in reports if each.verdict.call is call]
        raise typer.Exit(worst[0].exit_code if worst else 0)


@app.command(
    "pull-publish",
    epilog=examples("pull-publish handover --repository OWNER/NAME --head SHA --out published"),
)
def pull_publish(
    handed: Annotated[
        Path, typer.Argument(metavar="DIR", help="What `pull-audit --out DIR` wrote. Untrusted.")
    ],
    repository: Annotated[str, typer.Option(metavar="OWNER/NAME", help="On GitHub.")],
    head: Annotated[
        str, typer.Option(metavar="SHA", help="The audited commit, as the workflow's event names it.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="For report.sarif.")],
    author: Annotated[
        str, typer.Option("--as", metavar="LOGIN", help="Whose comment may be written over.")
    ] = BOT,
    api: Annotated[str, typer.Option(metavar="URL", help="Of the REST API.")] = API,
    debug: Debug = False,
) -> None:
    """Write the one comment of a pull request, and a SARIF file of all reports. The token comes from GITHUB_TOKEN.

    Prints `pr=N` and `sarif=PATH` for a later step; prints `sarif=` alone where nothing was published.
    """
    with told_plainly(debug):
        if not REPOSITORY.fullmatch(repository):
            raise Stop(f"--repository {repository} is no repository", expected="OWNER/NAME")
        token = os.environ.get(TOKEN, "")
        if not token:
            raise Stop(f"{TOKEN} is not set", next="env: {GITHUB_TOKEN: ${{ github.token }}} in the step")
        try:
            done = publish(handed, GitHub(repository, token, api.rstrip("/")), head, author, out)
        except HandoverError as error:
            raise Stop(f"{handed} is not taken: {error}") from None
        except ApiError as error:
            raise Stop(f"GitHub: {error}", next="see which permissions the job has") from None
        if done.refused:
            Console(stderr=True).print(
                f"not published: {done.refused}", markup=False, highlight=False, soft_wrap=True
            )
            print("sarif=")
            return
        print(f"pr={done.pr}")
        print(f"sarif={'' if done.sarif is None else done.sarif}")
