"""The commands that only print: `explain`, `rules`, `schema` and `doctor`."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from verifier.audit import all_rules, edition_name
from verifier.checks import load_checks
from verifier.cli.app import Debug, app, examples
from verifier.cli.complete import names_of_editions, names_of_pages
from verifier.cli.errors import ERROR, Stop, told_plainly
from verifier.doctor import diagnose
from verifier.report.json import load_schema
from verifier.report.pages import (
    did_you_mean,
    print_check,
    print_checks,
    print_facts,
    print_rule,
    print_rules,
)
from verifier.rules import UnknownEdition


@app.command(epilog=examples("explain", "explain E1-floor", "explain R-040"))
def explain(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="CHECK|RULE", help="Its id; the list when not given.", autocompletion=names_of_pages
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Print the page of a check or a rule, or list the checks."""
    with told_plainly(debug):
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


@app.command("rules", epilog=examples("rules", "rules --edition 2026-05-02"))
def rules_command(
    edition: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            help="A dated edition; the newest when not given.",
            autocompletion=names_of_editions,
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """List the rules of an edition, and which checks bear on each."""
    with told_plainly(debug):
        try:
            rules, name = all_rules(edition), edition_name(edition)
        except UnknownEdition as error:
            raise Stop(str(error)) from None
        print_rules(name, rules, load_checks(), Console())


@app.command(epilog=examples("schema > report.schema.json"))
def schema() -> None:
    """Print the JSON Schema of the report."""
    print(json.dumps(load_schema(), indent=2))


@app.command(epilog=examples("doctor"))
def doctor(debug: Debug = False) -> None:
    """Say what this machine offers to an audit. Exit 3 when probes could not run."""
    with told_plainly(debug):
        diagnosis = diagnose()
        print_facts(diagnosis.facts, Console())
        if diagnosis.problems:
            print_facts((("problem", text) for text in diagnosis.problems), Console(stderr=True))
            raise typer.Exit(ERROR)
