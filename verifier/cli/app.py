"""The group of commands, and what several of them share: how it is called, its options, its version."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from verifier import __version__
from verifier.audit import edition_name
from verifier.probe.device import Device

DEFAULT_COMMAND = "audit"


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
