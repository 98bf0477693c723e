"""Write report files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from verifier.checks import load_checks
from verifier.report.html import render_html
from verifier.report.json import render_json
from verifier.report.markdown import render_markdown
from verifier.report.model import Report
from verifier.report.sarif import render_sarif
from verifier.report.wording import SAVED_REPORT

SAVED_COMMENT = "report.md"
SAVED_SARIF = "report.sarif"
SAVED_PAGE = "report.html"


def save_report(report: Report, folder: Path) -> Path:
    """Write the report in every form into the folder, and return the path of report.json.

    Each file appears under its name only when it is complete: a reader never sees half of one, and a
    full disk leaves the old one as it was. report.json goes last, so that one that is there has the others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, pages = folder / SAVED_REPORT, check_pages()
    write_whole(folder / SAVED_COMMENT, render_markdown(report))
    write_whole(folder / SAVED_SARIF, render_sarif(report, pages))
    write_whole(folder / SAVED_PAGE, render_html(report, pages, str(path)))
    write_whole(path, render_json(report, str(path)))
    return path


def check_pages() -> dict[str, str]:
    """The page of each check by its id."""
    return {check.id: check.page for check in load_checks()}


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
