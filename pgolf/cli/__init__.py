"""The `pgolf` command: train, eval, methods, pack, jepa, and data."""

from pgolf.cli.commands import app

__all__ = ["app"]
