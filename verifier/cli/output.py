"""Where a command's text goes."""

from __future__ import annotations

from pathlib import Path

from verifier.cli.errors import Stop, unless_nobody_reads
from verifier.report.store import write_whole


def make_folder(folder: Path, option: str) -> None:
    """Make the folder that `option` names.

    Raises:
        Stop: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Stop(f"{option} {folder} cannot be made", found=str(error.strerror)) from None


def deliver(text: str, out: Path | None) -> None:
    """Write `text` to the file that `--out` names, whole or not at all, or to stdout.

    Raises:
        Stop: the file cannot be written.
    """
    if out is None:
        with unless_nobody_reads():
            print(text, end="")
        return
    try:
        write_whole(out, text)
    except OSError as error:
        raise Stop(f"--out {out} cannot be written", found=str(error.strerror)) from None
