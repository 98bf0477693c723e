"""The page in a real browser: nothing asked for, nothing logged, nothing run, nothing that a reader cannot reach.

Needs the `browser` extra and a Chromium: `playwright install chromium`, or its path in CHROMIUM. Skipped without.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.verifier.report import samples
from tests.verifier.report.test_html import EVIL, evil_report
from verifier.report.html import render_html
from verifier.report.json import render_json

playwright = pytest.importorskip("playwright.sync_api", reason="the `browser` extra is not installed")
SERIOUS = ("serious", "critical")
PAGES = {**samples.ALL, "evil": evil_report}
WIDTHS = {1280: "light", 390: "dark"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as session:
        try:
            started = session.chromium.launch(
                executable_path=os.environ.get("CHROMIUM"), args=["--no-sandbox"]
            )
        except playwright.Error as error:
            pytest.skip(f"no Chromium: {str(error).splitlines()[0]}")
        yield started
        started.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, make in PAGES.items():
        (tmp_path / f"{name}.html").write_text(
            render_html(make(), {"C1-flip": "One `word`.\n\nTwo."}), encoding="utf-8"
        )
    return tmp_path


def opened(context: Any, path: Path) -> tuple[Any, list[str]]:
    """The page, and what it asked for and said beyond itself."""
    page, heard = context.new_page(), []
    page.on("request", lambda request: heard.append(request.url))
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("dialog", lambda dialog: heard.append(dialog.message))
    page.goto(path.as_uri())
    heard.remove(path.as_uri())
    return page, heard


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_it_asks_for_nothing_logs_nothing_and_fits(browser: Any, folder: Path, name: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=WIDTHS[width])
    page, heard = opened(context, folder / f"{name}.html")
    for closed in page.locator("details").all():
        closed.evaluate("each => each.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("script").count() == 2
    assert heard == []
    context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_it_can_be_reached_by_everyone(browser: Any, folder: Path, name: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=WIDTHS[width], bypass_csp=True
    )
    page, _ = opened(context, folder / f"{name}.html")
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    found = axe.Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in SERIOUS] == []
    context.close()


def test_the_saved_data_are_the_report(browser: Any, folder: Path) -> None:
    page, heard = opened(browser.new_context(accept_downloads=True), folder / "drawn.html")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save report.json").click()
    assert json.loads(Path(waiting.value.path()).read_text()) == json.loads(render_json(samples.drawn()))
    with page.expect_download() as waiting:
        page.locator("#gain button.save").click()
    gains = json.loads(render_json(samples.drawn()))["series"]["gains"]
    assert json.loads(Path(waiting.value.path()).read_text()) == gains
    assert [each for each in heard if not each.startswith("blob:")] == []
    page.context.close()


def test_a_replay_command_can_be_copied(browser: Any, folder: Path) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page, heard = opened(context, folder / "drawn.html")
    command = page.locator(".card .command").first
    command.get_by_role("button").click()
    playwright.expect(command.get_by_role("button")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == command.locator("code").text_content()
    assert heard == []
    context.close()


def test_it_is_whole_without_a_script(browser: Any, folder: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page, _ = opened(context, folder / "drawn.html")
    playwright.expect(page.locator("svg").first).to_be_visible()
    playwright.expect(page.get_by_role("button")).to_have_count(0)
    playwright.expect(page.get_by_text("pgolf-verify replay report.json --finding C1-flip")).to_be_visible()
    context.close()


def test_what_a_submission_wrote_is_shown_as_text(browser: Any, folder: Path) -> None:
    page, _ = opened(browser.new_context(), folder / "evil.html")
    shown = page.locator("h1").inner_text()
    assert EVIL.split("\u202e")[0] in shown
    assert "\\u202e" in shown
    page.context.close()
