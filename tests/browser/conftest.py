"""Chromium for every test here, which asks nobody but this machine, and a real API to open pages of."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip

_spec = importlib.util.spec_from_file_location(
    "api_fixtures_for_browser", Path(__file__).parents[1] / "integration" / "api" / "conftest.py"
)
assert _spec is not None
assert _spec.loader is not None
_api_fixtures = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _api_fixtures  # dataclasses look their module up
_spec.loader.exec_module(_api_fixtures)
api = _api_fixtures.api


@dataclass(slots=True)
class Watched:
    """A page, and what it asked of others and said to the console (a breach of its policy is said there)."""

    page: Any
    asked_elsewhere: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


# A module's, not the session's: while Playwright is open its loop counts as running, and no other test may run one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed: make setup-full")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def watched(browser: Any) -> Iterator[Callable[[str], Watched]]:
    """Open an address with the network cut: a request beyond loopback is refused, and remembered."""
    opened: list[Any] = []

    def open_(address: str) -> Watched:
        seen = Watched(page=browser.new_page(viewport={"width": 1280, "height": 1000}))
        opened.append(seen.page)

        def judge(route: Any) -> None:
            parts = urlsplit(route.request.url)
            if parts.scheme in ("file", "data", "blob") or parts.hostname == "127.0.0.1":
                route.continue_()
            else:
                seen.asked_elsewhere.append(route.request.url)
                route.abort()

        seen.page.route("**/*", judge)
        seen.page.on("console", lambda message: seen.said.append(message.text))
        seen.page.on("pageerror", lambda error: seen.said.append(str(error)))
        seen.page.goto(address)
        return seen

    yield open_
    for page in opened:
        page.close()
