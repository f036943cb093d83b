"""Stripe's lists, page by page, through Stripe's own client.

The client of the library is asked for the answer's text and nothing else: what it decodes has floats in it. It retries
nothing; here, what may pass by itself is asked again and what will not is said at once, with the list's name.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import stripe

from ingest.sources.stripe_api.documents import Listed, read_page
from ledger_core.errors import ConfigurationError, DependencyError, InvalidInput
from ledger_core.settings import Settings

PAGE_OBJECTS = 100
"""The most that Stripe gives in one answer."""
MAX_ATTEMPTS = 8
MAX_WAIT_SECONDS = 60.0
MAX_OBJECTS = 100_000
"""Of one window, which is held until it is whole; more of them are asked for in halves of it."""
TIMEOUT_SECONDS = 30.0
API_VERSION = "2025-09-30.clover"
"""The version in whose shapes answers are read; without it an account's own would decide."""


class TooMany(Exception):
    """A window holds more than `MAX_OBJECTS`: it is to be asked for in halves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeLists:
    """The lists of one account, read with its key."""

    client: stripe.StripeClient = field(repr=False)
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    most: int = MAX_OBJECTS

    def everything(self, url: str, asked: Mapping[str, Any]) -> list[Listed]:
        """Return all objects of the list at `url` for `asked`.

        Raises `TooMany`; `ConfigurationError` when the key is refused, `DependencyError` when Stripe does not answer.
        """
        found: dict[str, Listed] = {}
        for each in self._pages(url, asked):
            found[each.id] = each
            if len(found) > self.most:
                raise TooMany(url)
        return list(found.values())

    def _pages(self, url: str, asked: Mapping[str, Any]) -> Iterator[Listed]:
        after: dict[str, str] = {}
        while True:
            page = read_page(self._answer(url, {**asked, "limit": PAGE_OBJECTS, **after}))
            yield from page.objects
            if not page.has_more:
                return
            if not page.objects or page.objects[-1].id == after.get("starting_after"):
                raise DependencyError(
                    f"{url} says that there is more, and gives nothing after {after.get('starting_after', 'none')}.",
                    remedy="Run the sweep again; what had landed stays.",
                )
            after = {"starting_after": page.objects[-1].id}

    def _answer(self, url: str, params: Mapping[str, Any]) -> str:
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return str(self.client.raw_request("get", url, **params).body)
            except stripe.StripeError as error:
                if (permanent := _permanent(error, url)) is not None:
                    raise permanent from error
                if attempt == MAX_ATTEMPTS:
                    raise DependencyError(
                        f"Stripe did not answer for {url} {MAX_ATTEMPTS} times in a row: {type(error).__name__}.",
                        retry_after_seconds=int(MAX_WAIT_SECONDS),
                        remedy="Run the sweep again later: it goes on where it was.",
                    ) from error
                self.sleep(self._wait(error, attempt))
        raise AssertionError("the last attempt returns or raises")

    def _wait(self, error: stripe.StripeError, attempt: int) -> float:
        """Return the seconds until the next attempt: what Stripe says, else twice as long each time, half by chance."""
        said = {name.lower(): value for name, value in dict(error.headers or {}).items()}.get("retry-after", "")
        if said.isdecimal():
            return min(float(said), MAX_WAIT_SECONDS)
        backoff = min(0.5 * 2 ** (attempt - 1), MAX_WAIT_SECONDS)
        return backoff * (0.5 + self.jitter() / 2)


def open_lists(settings: Settings, account: str) -> StripeLists:
    """Return the lists of `account`. Raises `ConfigurationError` when no key of it is set, or it cannot be read."""
    path = settings.ingest.stripe_key_files.get(account)
    if path is None:
        raise ConfigurationError(
            f"no key of Stripe's is set for account {account!r}.",
            remedy='Name its file: COUNTERFOIL_INGEST__STRIPE_KEY_FILES={"' + account + '": "/path/of/the/key"}.',
        )
    client = stripe.StripeClient(
        _key_in(path),
        stripe_version=API_VERSION,
        base_addresses={"api": settings.ingest.stripe_url.rstrip("/")},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
    )
    return StripeLists(client=client)


def _key_in(path: Path) -> str:
    try:
        key = path.expanduser().read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the file of Stripe's key cannot be read: {path} ({type(error).__name__}).",
            remedy="Name a file that this user may read and that holds the key alone.",
        ) from error
    if not key or len(key) > 512 or not key.isprintable() or " " in key:
        raise ConfigurationError(f"{path} holds no key of Stripe's.", remedy="It holds the key alone, on one line.")
    return key


def _permanent(error: stripe.StripeError, url: str) -> Exception | None:
    """Return what to raise for an answer that stays the same however often it is asked for; None for the others."""
    if isinstance(error, stripe.AuthenticationError):
        return ConfigurationError(
            f"Stripe refuses the key (401) for {url}.",
            remedy="Put the account's current restricted key into its file (COUNTERFOIL_INGEST__STRIPE_KEY_FILES).",
        )
    if isinstance(error, stripe.PermissionError):
        return ConfigurationError(
            f"the key may not read {url} (403).",
            remedy="Give the restricted key the right to read balance, payouts, charges and disputes.",
        )
    if isinstance(error, stripe.RateLimitError | stripe.APIConnectionError):
        return None
    status = error.http_status or 0
    if status == 429 or status >= 500 or status == 0 or 200 <= status < 300:
        return None
    return InvalidInput(
        f"Stripe does not understand what {url} was asked ({status}): {error.user_message or 'no reason given'}",
        remedy="This is a fault of the sweep: report it with this message.",
    )
