"""The report as a reader meets it: in a browser, without the network, with and without script."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from reconciliation.report.page import page_of

pytestmark = [
    pytest.mark.browser,
    # Playwright's event loop leaves its own sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

_spec = importlib.util.spec_from_file_location(
    "report_rows_for_browser", Path(__file__).parents[1] / "unit" / "report" / "report_rows.py"
)
assert _spec is not None
assert _spec.loader is not None
rows = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(rows)


@pytest.fixture
def address(tmp_path: Path) -> str:
    minors = (2550, -7, 9_007_199_254_740_993, 9_007_199_254_740_992, 100)
    breaks = tuple(
        rows.break_row(number, "missing_at_psp", minor=minor) for number, minor in enumerate(minors, start=1)
    )
    path = tmp_path / "report.html"
    path.write_text(page_of(rows.report(breaks=breaks)), encoding="utf-8")
    return path.as_uri()


def test_the_page_asks_nobody_for_anything_and_says_nothing_to_the_console(browser: Any, address: str) -> None:
    page = browser.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert said == []
    page.close()


def test_a_click_sorts_amounts_to_the_unit_beyond_what_a_float_can_tell(browser: Any, address: str) -> None:
    page = browser.new_page()
    page.goto(address)
    table = page.locator("#class-missing_at_psp table.listing")
    head = table.locator("th", has_text="Difference")
    head.click()
    shown = table.locator("tr.item td:nth-child(3)").all_inner_texts()
    assert shown == ["−0.07", "+1.00", "+25.50", "+90,071,992,547,409.92", "+90,071,992,547,409.93"]
    head.click()
    assert table.locator("tr.item td:nth-child(3)").all_inner_texts() == shown[::-1]
    assert head.get_attribute("aria-sort") == "descending"
    page.close()


def test_a_break_drills_down_to_the_way_of_its_item(browser: Any, address: str) -> None:
    page = browser.new_page()
    page.goto(address)
    first = page.locator("#class-missing_at_psp tbody").first
    assert not first.locator(".way").is_visible()
    first.locator("summary").click()
    places = [text.strip() for text in first.locator(".station .place").all_inner_texts()]
    assert [place.split()[-1] for place in places] == ["Ledger", "Provider", "Payout", "Bank"]
    page.close()


def test_a_link_to_a_break_opens_it(browser: Any, address: str) -> None:
    page = browser.new_page()
    page.goto(address)
    page.locator("#changes a").first.click()
    assert page.locator("tbody[id^=b-] details[open]").count() == 1
    page.close()


def test_everything_can_be_read_without_script_and_printed(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    page.locator("#class-missing_at_psp summary").first.click()
    assert page.locator("#class-missing_at_psp .way").first.is_visible()
    assert len(page.pdf(format="A4")) > 10_000
    context.close()


def test_no_row_runs_out_of_the_page_on_a_laptop(browser: Any, address: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.close()
