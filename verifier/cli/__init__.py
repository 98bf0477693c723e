"""The command line: `pgolf-verify FOLDER`, and the commands around it.

Exit codes: 0 compliant, 1 non-compliant, 2 usage, 3 needs review or error, 130 interrupted. Nothing but
the verdict ever exits with 0 or 1 from an audit. Each module below adds its commands to `app`, in this order.
"""

from verifier.cli import audit, batch, compare, export, pages, pull, render, replay, score, site  # noqa: F401
from verifier.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """The console script."""
    app(prog_name="pgolf-verify")
