"""The `pgolf` command: train, eval, pack, and data."""

from pgolf.cli.commands import app

__all__ = ["app"]
