"""The `pgolf` command: train, eval, methods, pack, and data."""

from pgolf.cli.commands import app

__all__ = ["app"]
