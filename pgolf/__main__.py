"""`python -m pgolf` is `pgolf`."""

from pgolf.cli import app

app()
