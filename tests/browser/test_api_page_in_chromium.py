"""The API's page as its reader meets it: without the network, under its own policy, with a token that really works."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [
    pytest.mark.browser,
    pytest.mark.integration,
    # Playwright's event loop leaves its own sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def docs(api: Any, watched: Any) -> Any:
    opened = watched(f"{api.url}/docs")
    opened.page.locator(".opblock").first.wait_for()
    return opened


def execute(page: Any, operation_id: str) -> Any:
    """Open an operation, send the request that the page proposes, and return the block of the live answer."""
    block = page.locator(f"[id$='-{operation_id}'].opblock")
    block.locator(".opblock-summary-control").click()
    block.locator("button.execute").click()
    block.locator(".live-responses-table .response-col_status").first.wait_for()
    return block


def status_of(block: Any) -> str:
    return str(block.locator(".live-responses-table tbody .response-col_status").first.inner_text()).split()[0]


def test_descriptions_are_rendered_and_nothing_is_asked_of_anybody_else(docs: Any) -> None:
    described = docs.page.locator(".information-container .renderedMarkdown")
    assert "Idempotency-Key" in described.locator("code").all_inner_texts()
    assert "`" not in described.inner_text()
    assert docs.asked_elsewhere == []
    assert docs.said == []


def test_with_a_token_a_reader_posts_the_example_and_reads_it_back(api: Any, docs: Any) -> None:
    page = docs.page
    page.locator("button.authorize").first.click()
    page.locator(".auth-container input").fill(api.token())
    page.locator(".modal-ux button[type=submit]").click()
    page.locator(".modal-ux button.btn-done").click()
    posted = execute(page, "post_journal_entry")
    assert status_of(posted) == "201"
    assert "stripe:txn_1" in posted.locator(".live-responses-table .highlight-code").first.inner_text()
    read = execute(page, "get_journal_entry")
    assert status_of(read) == "200"
    assert "posted" in read.locator(".live-responses-table .highlight-code").first.inner_text()
    assert docs.asked_elsewhere == []
    assert docs.said == []


def test_without_a_token_the_page_shows_the_refusal(docs: Any) -> None:
    assert status_of(execute(docs.page, "get_trial_balance")) == "401"
