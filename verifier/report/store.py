"""Write report files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from verifier.report.json import render_json
from verifier.report.markdown import render_markdown
from verifier.report.model import Report
from verifier.report.wording import SAVED_REPORT

SAVED_COMMENT = "report.md"


def save_report(report: Report, folder: Path) -> Path:
    """Write report.json and report.md into the folder, and return the path of report.json.

    Each file appears under its name only when it is complete: a reader never sees half of one, and a
    full disk leaves the old one as it was. The comment goes first, so that a report.json has its pair.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / SAVED_REPORT
    write_whole(folder / SAVED_COMMENT, render_markdown(report))
    write_whole(path, render_json(report, str(path)))
    return path


def write_whole(path: Path, text: str) -> None:
    """Write to a neighbour, then rename over the name."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # mkstemp makes it 0600, and a report is meant to be read
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
