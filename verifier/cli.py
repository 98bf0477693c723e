"""The command line: `pgolf-verify FOLDER`, and the commands around it.

Exit codes: 0 compliant, 1 non-compliant, 2 usage, 3 needs review or error, 130 interrupted. Nothing but
the verdict ever exits with 0 or 1 from an audit.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from verifier import __version__
from verifier.audit import DEFAULT_TIME_LIMIT_SECONDS, Level, all_rules, audit, edition_name, read_folder
from verifier.checks import load_checks
from verifier.doctor import diagnose
from verifier.intake import IntakeError
from verifier.replay import compare, replayable_checks
from verifier.report.json import ReportError, load_schema, read_report, render_json
from verifier.report.markdown import render_markdown
from verifier.report.model import Report
from verifier.report.pages import (
    did_you_mean,
    print_check,
    print_checks,
    print_comparison,
    print_facts,
    print_rule,
    print_rules,
)
from verifier.report.progress import shown_progress
from verifier.report.store import save_report
from verifier.report.terminal import render_line, render_terminal
from verifier.report.wording import SAVED_REPORT, clean
from verifier.rules import UnknownEdition

DEFAULT_COMMAND = "audit"
USAGE, ERROR, INTERRUPTED = 2, 3, 130


class Stop(Exception):
    """A mistake in how the command was called: printed as one block, exit code 2."""

    def __init__(self, what: str, **facts: str) -> None:
        super().__init__(what)
        self.facts = facts
        """`found`, `expected`, `where`, `next`: those that are known."""


class FolderOrCommand(TyperGroup):
    """Takes `pgolf-verify FOLDER` for `pgolf-verify audit FOLDER`.

    A folder that is named like a command is reached as `./NAME`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = {"--help", "--version", "--install-completion", "--show-completion"}
        if args and args[0] not in self.commands and args[0] not in own:
            args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=FolderOrCommand,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    subcommand_metavar="FOLDER | COMMAND …",
    epilog="Exit codes: 0 compliant, 1 non-compliant, 2 usage, 3 needs review or error, 130 interrupted.",
)

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="One line, and no progress.")]
TimeLimit = Annotated[
    float, typer.Option("--time-limit", min=1.0, metavar="SECONDS", help="Of all probes together.")
]


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"pgolf-verify {__version__} (rules {edition_name()})")
        raise typer.Exit


@app.callback()
def _group(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Audit a parameter-golf submission: `pgolf-verify FOLDER`."""


@app.command(DEFAULT_COMMAND)
def audit_command(
    folder: Annotated[Path, typer.Argument(help="A submission folder, as it is in the pull request.")],
    level: Annotated[
        Level,
        typer.Option(
            help="documents: read logs and claims. static: also the source, executing nothing. "
            "probes: also run the script, isolated."
        ),
    ] = Level.PROBES,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the synthetic streams; drawn fresh when not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print a pull-request comment.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write report.json and report.md there.")
    ] = None,
    time_limit: TimeLimit = DEFAULT_TIME_LIMIT_SECONDS,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Audit a folder. `pgolf-verify FOLDER` is short for this."""
    with _told_plainly(debug):
        if as_json and as_markdown:
            raise Stop("--json and --markdown both want stdout", next="use --output DIR to have both")
        _check_folder(folder)
        _check_output(output, folder)
        with shown_progress(Console(stderr=True), quiet) as progress:
            report = audit(folder, level=level, seed=seed, time_limit_seconds=time_limit, progress=progress)
        saved = None if output is None else save_report(report, output)
        with _unless_nobody_reads():
            _print(report, as_json=as_json, as_markdown=as_markdown, quiet=quiet, saved=saved)
        raise typer.Exit(report.verdict.exit_code)


@app.command()
def explain(
    name: Annotated[str | None, typer.Argument(metavar="[CHECK | RULE]")] = None, debug: Debug = False
) -> None:
    """Print the page of a check or a rule, or list the checks."""
    with _told_plainly(debug):
        checks, console = load_checks(), Console()
        if name is None:
            print_checks(checks, console)
            return
        rules = {rule.id: rule for rule in all_rules()}
        by_name = {check.id.lower(): check for check in checks}
        rule_by_name = {id.lower(): rule for id, rule in rules.items()}
        if name.lower() in by_name:
            print_check(by_name[name.lower()], rules, console)
        elif name.lower() in rule_by_name:
            print_rule(rule_by_name[name.lower()], checks, console)
        else:
            near = did_you_mean(name, [*(check.id for check in checks), *rules])
            raise Stop(
                f"no check or rule is called {name!r}", next=near or "`pgolf-verify explain` lists the checks"
            )


@app.command("rules")
def rules_command(
    edition: Annotated[str | None, typer.Option(help="A dated edition; the newest when not given.")] = None,
    debug: Debug = False,
) -> None:
    """List the rules of an edition, and which checks bear on each."""
    with _told_plainly(debug):
        try:
            rules, name = all_rules(edition), edition_name(edition)
        except UnknownEdition as error:
            raise Stop(str(error)) from None
        print_rules(name, rules, load_checks(), Console())


@app.command()
def replay(
    report_file: Annotated[Path, typer.Argument(metavar="REPORT.json")],
    finding: Annotated[
        str | None, typer.Option(metavar="CHECK", help="One check; all that can be rerun when not given.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where the submission is now; the report's path when not given.")
    ] = None,
    time_limit: TimeLimit = DEFAULT_TIME_LIMIT_SECONDS,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Rerun what a report found, with its seed. Exit 0: it comes out again. Exit 1: it does not."""
    with _told_plainly(debug):
        recorded = _read_report(report_file)
        checks = _checks_to_replay(recorded, finding)
        where = _recorded_folder(recorded, report_file) if folder is None else folder
        _check_folder(where)
        _check_script(where, recorded)
        with shown_progress(Console(stderr=True), quiet) as progress:
            again = audit(
                where,
                level=Level.PROBES,
                seed=recorded.run.seeds[0],
                time_limit_seconds=time_limit,
                progress=progress,
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


@app.command()
def schema() -> None:
    """Print the JSON Schema of the report."""
    print(json.dumps(load_schema(), indent=2))


@app.command()
def doctor(debug: Debug = False) -> None:
    """Say what this machine offers to an audit. Exit 3 when probes could not run."""
    with _told_plainly(debug):
        diagnosis = diagnose()
        print_facts(diagnosis.facts, Console())
        if diagnosis.problems:
            print_facts((("problem", text) for text in diagnosis.problems), Console(stderr=True))
            raise typer.Exit(ERROR)


def main() -> None:
    """The console script."""
    app(prog_name="pgolf-verify")


# ---- errors -------------------------------------------------------------------------------------


@contextmanager
def _told_plainly(debug: bool) -> Iterator[None]:
    """Turn every error into one block and an exit code that is no verdict."""
    try:
        yield
    except Stop as stop:
        _fail(str(stop), USAGE, stop.facts)
    except IntakeError as error:
        _fail(str(error), USAGE, {"expected": "a submission folder, as it is in the pull request"})
    except KeyboardInterrupt:
        _fail("interrupted; nothing was written", INTERRUPTED, {})
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        if debug:
            traceback.print_exc()
        facts = {"next": "run again with --debug for the traceback, and report it"}
        _fail(f"unexpected {type(error).__name__}: {error}", ERROR, {} if debug else facts)


def _fail(what: str, exit_code: int, facts: Mapping[str, str]) -> NoReturn:
    console = Console(stderr=True, highlight=False)
    console.print(Text.assemble(("error", "bold red"), f"  {clean(what)}"), soft_wrap=True)
    for name, text in facts.items():
        console.print(Text(f"  {name:<8}  {clean(text)}"), soft_wrap=True)
    raise typer.Exit(exit_code)


@contextmanager
def _unless_nobody_reads() -> Iterator[None]:
    """`pgolf-verify FOLDER | head` closes our stdout early; the exit code is still the verdict's."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# ---- arguments ----------------------------------------------------------------------------------


def _check_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    if folder.exists():
        raise Stop(
            f"{folder} is a file",
            expected="the folder that holds train_gpt.py and submission.json",
            next=f"pgolf-verify {folder.parent}",
        )
    commands = [command.name for command in app.registered_commands if command.name]
    near = did_you_mean(str(folder), [*commands, "explain", "replay", "schema", "doctor"])
    raise Stop(f"there is no folder {folder}", where=str(Path.cwd()), **({"next": near} if near else {}))


def _check_output(output: Path | None, folder: Path) -> None:
    """Before a minute is spent: can the reports be written, and not into what is audited?"""
    if output is None:
        return
    if output.resolve().is_relative_to(folder.resolve()):
        raise Stop(
            f"--output {output} lies inside the submission",
            expected="a folder outside: a report inside would be part of the next audit",
        )
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Stop(f"--output {output} cannot be made", found=str(error.strerror)) from None


def _read_report(path: Path) -> Report:
    try:
        return read_report(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Stop(f"{path} cannot be read", found=str(error.strerror)) from None
    except UnicodeDecodeError:
        raise Stop(f"{path} is not UTF-8 text", expected="a report.json of pgolf-verify") from None
    except ReportError as error:
        raise Stop(
            f"{path} is not a report",
            found=str(error),
            expected="a report.json of pgolf-verify; `pgolf-verify schema` prints its schema",
        ) from None


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


def _print(report: Report, *, as_json: bool, as_markdown: bool, quiet: bool, saved: Path | None) -> None:
    if as_json:
        print(render_json(report, SAVED_REPORT if saved is None else str(saved)), end="")
    elif as_markdown:
        print(render_markdown(report), end="")
    elif quiet:
        print(render_line(report))
    else:
        render_terminal(report, Console(highlight=False), saved_as=None if saved is None else str(saved))


if __name__ == "__main__":
    main()
