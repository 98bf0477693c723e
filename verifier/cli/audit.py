"""`pgolf-verify FOLDER` and `pgolf-verify --git REPO --pr N`: one audit."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from verifier.audit import DEFAULT_TIME_LIMIT_SECONDS, Level, audit
from verifier.cli.app import DEFAULT_COMMAND, Debug, DeviceOption, Quiet, TimeLimit, app, examples
from verifier.cli.errors import Stop, stoppable, told_plainly, unless_nobody_reads
from verifier.cli.output import make_folder
from verifier.cli.source import GitOption, check_folder, checked_out, print_notes
from verifier.probe.device import Device
from verifier.report.json import render_json
from verifier.report.markdown import render_markdown
from verifier.report.model import Report
from verifier.report.progress import shown_progress
from verifier.report.store import save_report
from verifier.report.terminal import render_line, render_terminal
from verifier.report.wording import SAVED_REPORT


@app.command(
    DEFAULT_COMMAND,
    epilog=examples(
        "submissions/score_first_ttt",
        "submissions/scored_slot --level static",
        "submissions/scored_slot --output out --time-limit 300",
        "submissions/scored_slot --json > report.json",
        "--git parameter-golf.git --pr 1430",
    ),
)
def audit_command(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="A submission folder, as it is in the pull request."),
    ] = None,
    git: GitOption = None,
    pr: Annotated[int | None, typer.Option(min=1, metavar="N", help="With --git: the pull request.")] = None,
    sha: Annotated[
        str | None, typer.Option(metavar="SHA", help="With --git: this commit, not the present head.")
    ] = None,
    inside: Annotated[
        str | None,
        typer.Option("--folder", metavar="PATH", help="With --git: the folder inside the repository."),
    ] = None,
    level: Annotated[
        Level,
        typer.Option(
            help="documents: read logs and claims. static: also the source, executing nothing. "
            "probes: also run the script, isolated."
        ),
    ] = Level.PROBES,
    seed: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Of the synthetic streams; drawn fresh when not given."),
    ] = None,
    device: DeviceOption = Device.CPU,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print a pull-request comment.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write report.html, .json, .md and .sarif there.")
    ] = None,
    decode: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Also prove the score: code N tokens with the predictor that the script exposes, and decode "
            "them from the artifact alone. Takes up to the time limit once more.",
        ),
    ] = None,
    time_limit: TimeLimit = DEFAULT_TIME_LIMIT_SECONDS,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Audit a folder, or a pull request of a local repository. `pgolf-verify FOLDER` is short for this."""
    with told_plainly(debug):
        if as_json and as_markdown:
            raise Stop("--json and --markdown both want stdout", next="use --output DIR to have both")
        if decode is not None and level is not Level.PROBES:
            raise Stop(f"--decode needs a run, and --level {level} makes none", next="leave --level away")
        _check_source(folder, git, {"--pr": pr, "--sha": sha, "--folder": inside})
        with stoppable(), ExitStack() as scratch:
            checkout = None
            if git is not None:
                checkout = scratch.enter_context(checked_out(git, pr, sha, inside))
                if not quiet:
                    print_notes(checkout.origin, Console(stderr=True))
            where = folder if checkout is None else checkout.root
            assert where is not None  # _check_source
            _check_output(output, where)
            limit = None if level is not Level.PROBES else time_limit * (1 if decode is None else 2)
            with shown_progress(Console(stderr=True), quiet, limit) as progress:
                report = audit(
                    where,
                    level=level,
                    seed=seed,
                    device=device,
                    time_limit_seconds=time_limit,
                    decode_tokens=decode or 0,
                    progress=progress,
                    checkout=checkout,
                )
        saved = None if output is None else save_report(report, output)
        with unless_nobody_reads():
            _print(report, as_json=as_json, as_markdown=as_markdown, quiet=quiet, saved=saved)
        raise typer.Exit(report.verdict.exit_code)


def _check_source(folder: Path | None, git: Path | None, options: Mapping[str, object]) -> None:
    """Exactly one of a folder and a repository, and a commit with the repository."""
    given = [name for name, value in options.items() if value is not None]
    if git is None:
        if given:
            raise Stop(f"{given[0]} needs --git REPO", next="say which repository: --git REPO")
        if folder is None:
            raise Stop("nothing to audit", expected="a folder, or --git REPO --pr N")
        check_folder(folder)
    elif folder is not None:
        raise Stop(
            f"both a folder, {folder}, and --git {git}",
            next="--folder PATH names a folder inside a repository",
        )
    elif not {"--pr", "--sha"}.intersection(given):
        raise Stop("--git needs a pull request or a commit", next="--pr N or --sha SHA")


def _check_output(output: Path | None, folder: Path) -> None:
    """Before a minute is spent: can the reports be written, and not into what is audited?"""
    if output is None:
        return
    if output.resolve().is_relative_to(folder.resolve()):
        raise Stop(
            f"--output {output} lies inside the submission",
            expected="a folder outside: a report inside would be part of the next audit",
        )
    make_folder(output, "--output")


def _print(report: Report, *, as_json: bool, as_markdown: bool, quiet: bool, saved: Path | None) -> None:
    if as_json:
        print(render_json(report, SAVED_REPORT if saved is None else str(saved)), end="")
    elif as_markdown:
        print(render_markdown(report), end="")
    elif quiet:
        print(render_line(report))
    else:
        render_terminal(report, Console(highlight=False), saved_as=None if saved is None else str(saved))
