"""The pictures of README: `python -m tests.verifier.screenshots REPORT.json SITE`.

Writes docs/images/report.png (the first screen of the report's page), report-phone.png (the same on a phone, in
the dark) and site.png (the first screen of SITE/index.html). Needs the `browser` extra and a Chromium, found as
the browser tests find it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from verifier.report.html import render_html
from verifier.report.json import read_report
from verifier.report.store import check_pages

IMAGES = Path(__file__).parents[2] / "docs" / "images"
LARGEST_BYTES = 150_000


def main(arguments: Sequence[str]) -> None:
    report, site = map(Path, arguments)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as session:
        page = Path(scratch) / "report.html"
        page.write_text(render_html(read_report(report.read_text(encoding="utf-8")), check_pages()))
        browser = session.chromium.launch(
            executable_path=os.environ.get("CHROMIUM"), args=["--no-sandbox", "--disable-gpu"]
        )
        shoot(browser, page, "report.png", 1100, 672, "light")
        shoot(browser, page, "report-phone.png", 390, 844, "dark")
        shoot(browser, site / "index.html", "site.png", 1100, 1060, "light")
        browser.close()


def shoot(browser: Browser, page: Path, name: str, width: int, height: int, scheme: str) -> None:
    """One first screen as PNG, at one pixel for each of the page's."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    tab = context.new_page()
    tab.goto(page.resolve().as_uri())
    data = tab.screenshot(path=IMAGES / name)
    context.close()
    if len(data) > LARGEST_BYTES:
        raise SystemExit(f"{name} has {len(data):,} bytes, more than {LARGEST_BYTES:,}")
    print(f"{name}  {len(data):,} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: python -m tests.verifier.screenshots REPORT.json SITE")
    main(sys.argv[1:])
