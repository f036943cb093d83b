"""dbt's page as its reader meets it: a file, without the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciliation.runs.dbt_docs import main

pytestmark = [
    pytest.mark.browser,
    # Playwright's event loop leaves its own sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    page: Path = tmp_path_factory.mktemp("docs") / "index.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(page.parent)
        patch.delenv("COUNTERFOIL_HOME", raising=False)
        patch.delenv("DATABASE_URL", raising=False)
        assert main([page.name]) == 0
    return page.as_uri()


def test_it_opens_on_our_own_words_and_shows_what_a_model_is_without_asking_anybody(address: str, watched: Any) -> None:
    opened = watched(address)
    opened.page.get_by_role("heading", name="What each model is").wait_for()
    opened.page.goto(f"{address}#!/model/model.counterfoil.dim_accounts")
    opened.page.get_by_text("One row per account of the book's chart").first.wait_for()
    opened.page.locator("td, .column-name", has_text="normal_balance").first.wait_for()
    assert opened.asked_elsewhere == []
    # dbt's templates name icons by what Angular fills in later; Chromium says of each that it is not looked up.
    assert [line for line in opened.said if "%7B%7B" not in line] == []


def test_the_policy_refuses_what_the_page_would_load(address: str, watched: Any) -> None:
    opened = watched(address)
    answer = opened.page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'asked', error => String(error))")
    assert "Failed to fetch" in answer
    assert any("Content Security Policy" in line for line in opened.said)
