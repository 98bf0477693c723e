"""`pgolf-verify replay REPORT.json`: does what a report found come out again?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from verifier.audit import DEFAULT_TIME_LIMIT_SECONDS, Level, audit, read_folder
from verifier.cli.app import Debug, Quiet, TimeLimit, app, examples
from verifier.cli.complete import names_of_checks
from verifier.cli.errors import Stop, stoppable, told_plainly
from verifier.cli.source import GitOption, check_folder, checked_out, read_saved
from verifier.intake.checkout import Checkout
from verifier.probe.device import Device
from verifier.replay import compare, replayable_checks
from verifier.report.model import Report
from verifier.report.pages import did_you_mean, print_comparison
from verifier.report.progress import shown_progress


@app.command(
    epilog=examples(
        "replay out/report.json --finding C1-flip", "replay out/report.json --folder submissions/scored_slot"
    )
)
def replay(
    report_file: Annotated[Path, typer.Argument(metavar="REPORT.json")],
    finding: Annotated[
        str | None,
        typer.Option(
            metavar="CHECK",
            help="One check; all that can be rerun when not given.",
            autocompletion=names_of_checks,
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the submission is now; the report's path when not given."),
    ] = None,
    git: GitOption = None,
    time_limit: TimeLimit = DEFAULT_TIME_LIMIT_SECONDS,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Rerun what a report found, with its seed. Exit 0: it comes out again. Exit 1: it does not."""
    with told_plainly(debug):
        recorded = read_saved(report_file)
        checks = _checks_to_replay(recorded, finding)
        with stoppable(), _recorded_source(recorded, report_file, folder, git) as (where, checkout):
            _check_script(where, recorded)
            with shown_progress(Console(stderr=True), quiet, time_limit) as progress:
                again = audit(
                    where,
                    level=Level.PROBES,
                    seed=recorded.run.seeds[0],
                    device=Device(recorded.run.device),
                    time_limit_seconds=time_limit,
                    progress=progress,
                    checkout=checkout,
                )
        comparisons = [each for check in checks for each in compare(recorded, again, check)]
        console = Console()
        for comparison in comparisons:
            print_comparison(comparison, console)
        if recorded.tool_version != again.tool_version or recorded.rule_edition != again.rule_edition:
            console.print(
                f"recorded by pgolf-verify {recorded.tool_version} (rules {recorded.rule_edition}), "
                f"replayed by {again.tool_version} (rules {again.rule_edition})",
                markup=False,
            )
        raise typer.Exit(0 if all(comparison.agrees for comparison in comparisons) else 1)


def _checks_to_replay(report: Report, finding: str | None) -> Sequence[str]:
    """The checks asked for, all of them replayable."""
    known = replayable_checks(report)
    if not report.run.seeds:
        raise Stop("the report has no seed: nothing was executed for it", next="audit the folder with probes")
    if finding is None:
        if not known:
            raise Stop("the report has no finding that can be rerun")
        return known
    exact = [check for check in known if check.lower() == finding.lower()]
    if exact:
        return exact
    if any(each.check.lower() == finding.lower() for each in report.findings):
        why = f"{finding} says nothing that can be rerun: it rests on the documents"
    else:
        why = f"the report has no finding of {finding}"
    raise Stop(why, next=did_you_mean(finding, known) or f"it can rerun: {' '.join(known) or 'nothing'}")


@contextmanager
def _recorded_source(
    report: Report, report_file: Path, folder: Path | None, git: Path | None
) -> Iterator[tuple[Path, Checkout | None]]:
    """What was audited: the folder or repository named now, else the recorded one."""
    origin = report.submission.git
    if folder is not None and git is not None:
        raise Stop("both --folder and --git say where the submission is", next="give one of them")
    if folder is not None or origin is None:
        if git is not None:
            raise Stop("the report is about a folder, not about a repository", next="use --folder DIR")
        where = folder or _recorded_folder(report, report_file)
        check_folder(where)
        yield where, None
        return
    repository = git or Path(origin.repository)
    if not repository.is_dir():
        raise Stop(
            f"the report's repository {repository} is not here",
            next="say where it is: --git REPO, or --folder DIR",
        )
    with checked_out(repository, origin.pr, origin.sha, origin.folder or ".") as checkout:
        yield checkout.root, checkout


def _recorded_folder(report: Report, report_file: Path) -> Path:
    """The report's path as recorded, else beside the report, where reports are often moved."""
    recorded = Path(report.submission.path)
    for candidate in (recorded, report_file.parent / recorded, report_file.parent / recorded.name):
        if candidate.is_dir():
            return candidate
    raise Stop(f"the report's folder {recorded} is not here", next="say where it is: --folder DIR")


def _check_script(folder: Path, report: Report) -> None:
    """A replay of another script would prove nothing."""
    script = read_folder(folder).script
    found = None if script is None else script.sha256
    if found != report.submission.sha256:
        raise Stop(
            "the script is not the one that the report is about",
            found=f"sha256 {found}",
            expected=f"sha256 {report.submission.sha256}",
            where=str(folder if script is None else folder / script.path),
            next="get the recorded version, or audit this one anew",
        )
