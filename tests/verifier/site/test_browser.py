"""The site in a real browser: opened from the disk, sorted, filtered, reached by keyboard and screen reader.

Needs the `browser` extra and a Chromium: `playwright install chromium`, or its path in CHROMIUM. Skipped without.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.verifier.report.test_browser import SERIOUS, WIDTHS, browser, opened  # noqa: F401
from tests.verifier.site.batches import write_batch
from verifier.batch.book import read_index
from verifier.report.site import render_site
from verifier.site.build import build_site
from verifier.site.entry import Entry
from verifier.verdict import Call

playwright = pytest.importorskip("playwright.sync_api", reason="the `browser` extra is not installed")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    batch = write_batch(folder / "batch")
    build_site(read_index(batch / "index.jsonl"), batch, folder / "site")
    return folder / "site" / "index.html"


@pytest.fixture
def page(browser: Any, home: Path) -> Any:  # noqa: F811
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page, heard = opened(context, home)
    yield page
    assert [each for each in heard if not each.startswith(("file:", "about:"))] == []
    context.close()


def shown(page: Any) -> list[str]:
    """The pull requests of the visible rows, in order."""
    rows = page.locator("#submissions tbody tr:visible th").all_inner_texts()
    return [row.split()[0].lstrip("#") if row.startswith("#") else row.split()[0] for row in rows]


@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_logs_nothing_and_everyone_can_reach_it(browser: Any, home: Path, width: int) -> None:  # noqa: F811
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=WIDTHS[width], bypass_csp=True
    )
    page, heard = opened(context, home)
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert heard == []
    found = axe.Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in SERIOUS] == []
    context.close()


def test_a_heading_sorts_by_keyboard_and_says_so(page: Any) -> None:
    head = page.locator("#submissions thead th", has_text="Claimed")
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert page.locator("#submissions thead th[aria-sort]").count() == 1
    claims = page.locator("#submissions tbody td:nth-child(2)")
    rising = [float(text) for text in claims.all_inner_texts() if text]
    assert rising == sorted(rising)
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "descending"
    assert [float(text) for text in claims.all_inner_texts() if text] == sorted(rising, reverse=True)
    assert claims.last.inner_text() == ""


def test_filters_hide_rows_and_a_live_region_counts_them(page: Any) -> None:
    count = page.get_by_role("status")
    playwright.expect(count).to_have_text("6 submissions")
    page.get_by_label("Verdict").select_option("COMPLIANT")
    assert shown(page) == ["1019", "549"]
    playwright.expect(count).to_have_text("2 of 6 submissions")
    page.get_by_label("Search").fill("#549")
    assert shown(page) == ["549"]
    page.get_by_role("button", name="Show all").click()
    playwright.expect(count).to_have_text("6 submissions")
    page.get_by_label("Rule broken").select_option("C1")
    assert "1430" in shown(page)
    assert "549" not in shown(page)


def test_a_filter_is_in_the_address_and_opens_with_it(page: Any) -> None:
    page.get_by_label("Verdict").select_option("NON-COMPLIANT")
    address = page.url
    assert "verdict=NON-COMPLIANT" in address
    before = shown(page)
    page.goto("about:blank")
    page.goto(address)
    assert shown(page) == before
    assert page.get_by_label("Verdict").input_value() == "NON-COMPLIANT"


def test_a_row_leads_to_its_report_and_the_report_back(page: Any) -> None:
    page.get_by_role("link", name="#1430").first.click()
    playwright.expect(page.get_by_role("heading", level=1)).to_contain_text("NON-COMPLIANT")
    page.get_by_role("link", name="All submissions").click()
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text("6 submissions, audited")


def test_a_long_table_begins_with_its_first_rows_and_has_them_all(browser: Any, tmp_path: Path) -> None:  # noqa: F811
    rows = [Entry(f"pull {pr}", pr, Call.NEEDS_REVIEW, "", claimed_bpb=pr / 100) for pr in range(1, 301)]
    (tmp_path / "index.html").write_text(render_site(rows, {}, {}))
    context = browser.new_context()
    page, heard = opened(context, tmp_path / "index.html")
    assert len(shown(page)) == 250
    count = page.get_by_role("status")
    playwright.expect(count).to_have_text("300 submissions, the first 250 shown")
    page.get_by_label("Search").fill("pull 299")
    assert shown(page) == ["299"]
    page.get_by_label("Search").fill("")
    page.get_by_role("button", name="Show all 300").click()
    assert len(shown(page)) == 300
    playwright.expect(count).to_have_text("300 submissions")
    assert heard == []
    context.close()


def test_the_table_is_whole_without_a_script(browser: Any, home: Path) -> None:  # noqa: F811
    context = browser.new_context(java_script_enabled=False)
    page, _ = opened(context, home)
    assert len(shown(page)) == 6
    playwright.expect(page.get_by_label("Search")).to_be_hidden()
    playwright.expect(page.locator("svg").first).to_be_visible()
    context.close()
