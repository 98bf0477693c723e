"""Snapshots of every renderer. Updated only by `python -m tests.verifier.report.snapshots`; read the diff."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from tests.verifier.report import samples
from verifier.report.html import render_html
from verifier.report.json import render_json
from verifier.report.markdown import render_markdown
from verifier.report.model import Report
from verifier.report.sarif import render_sarif
from verifier.report.terminal import render_terminal

FOLDER = Path(__file__).parent / "snapshots"


def terminal(report: Report, width: int, saved_as: str | None = None) -> str:
    console = Console(file=io.StringIO(), width=width, no_color=True, force_terminal=False, highlight=False)
    render_terminal(report, console, saved_as=saved_as)
    assert isinstance(console.file, io.StringIO)
    return "".join(line.rstrip() + "\n" for line in console.file.getvalue().splitlines())


def rendered() -> dict[str, str]:
    """File name to expected text."""
    texts: dict[str, str] = {}
    for name, make in samples.ALL.items():
        report = make()
        texts[f"{name}.txt"] = terminal(report, 100)
        texts[f"{name}.80.txt"] = terminal(report, 80, saved_as="out/report.json")
        texts[f"{name}.md"] = render_markdown(report)
        texts[f"{name}.json"] = render_json(report)
        texts[f"{name}.sarif"] = render_sarif(report)
    for name in ("drawn", "hostile"):  # the page's style and script are in each
        texts[f"{name}.html"] = render_html(samples.ALL[name](), {"C1-flip": "One `word`.\n\nTwo."})
    return texts


def update() -> None:
    FOLDER.mkdir(exist_ok=True)
    texts = rendered()
    for path in FOLDER.iterdir():
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    update()
