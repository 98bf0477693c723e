"""The commands, put together."""

from __future__ import annotations

import typer

from pgolf.cli.data import data_app
from pgolf.cli.evaluate import evaluate, methods
from pgolf.cli.pack import pack
from pgolf.cli.train import train

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Train, score and pack parameter-golf models."
)
app.command()(train)
app.command("eval")(evaluate)
app.command()(methods)
app.command()(pack)
app.add_typer(data_app, name="data")
