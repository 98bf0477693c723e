"""The group of commands, and what several of them share: how it is called, its options, its version."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from verifier import __version__
from verifier.audit import edition_name
from verifier.cli.errors import USAGE, fail, fail_misused
from verifier.probe.device import Device
from verifier.report.pages import did_you_mean

DEFAULT_COMMAND = "audit"


class FolderOrCommand(TyperGroup):
    """Takes `pgolf-verify FOLDER` for `pgolf-verify audit FOLDER`.

    A folder that is named like a command is reached as `./NAME`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:  # a shell asks for completions
            asked: Sequence[str] = ()
        elif args:
            asked = args
        else:
            print(ctx.get_help(), file=sys.stderr)
            raise typer.Exit(USAGE)
        own = {option for each in self.get_params(ctx) for option in each.opts}
        if args and args[0] not in self.commands and args[0] not in own:
            self._refuse_a_mistyped_command(asked)
            args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)

    def _refuse_a_mistyped_command(self, args: Sequence[str]) -> None:
        """Where a word is no folder but nearly a command, its own arguments would be called superfluous."""
        word = args[0] if args else "-"
        near = "" if word.startswith("-") or Path(word).exists() else did_you_mean(word, self.commands)
        if near and "/" not in word:
            fail(f"there is no folder and no command {word}", USAGE, {"next": near})

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Before a command is named, the audit's options are the ones that a user means."""
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            audit = self.commands[DEFAULT_COMMAND]
            known = {each.value for each in found}
            found += [each for each in audit.shell_complete(ctx, incomplete) if each.value not in known]
        return found

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """As typer's, but that a mistake in the call is told like every other error."""
        call = partial(super().main, args, prog_name, complete_var, False, windows_expand_args, **extra)
        if not standalone_mode:
            return call()
        try:
            sys.exit(call() or 0)
        except typer.TyperException as error:
            sys.exit(fail_misused(error))


app = typer.Typer(
    cls=FolderOrCommand,
    pretty_exceptions_enable=False,
    # Plain help keeps to any width, can be searched and pasted, and has no boxes for a screen reader to spell.
    rich_markup_mode=None,
    subcommand_metavar="FOLDER | COMMAND …",
    epilog="\b\nExamples:\n"
    "  pgolf-verify submissions/scored_slot\n"
    "  pgolf-verify --git parameter-golf.git --pr 1430 --output out\n"
    "  pgolf-verify explain E1-floor\n"
    "\n"
    "Exit codes: 0 compliant, 1 non-compliant, 2 usage, 3 needs review or error, 130 interrupted.",
)


def examples(*commands: str) -> str:
    """The end of a command's help: what one types, a line each."""
    return "\b\nExamples:\n" + "\n".join(f"  pgolf-verify {command}" for command in commands)


Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
DeviceOption = Annotated[
    Device, typer.Option(help="Where the script computes. cuda: on a real GPU, in its own precision.")
]
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
