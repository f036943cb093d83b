"""One event from the inbox to the books: guarded, understood, rendered, posted, settled.

Any number of these may run, in threads and in processes. What fails is told apart: what may pass by itself is tried
again, later each time, and a dead letter after `max_attempts`; what will not pass is a dead letter at once; what is
ours to mend (the ledger's database, its signer, the keeper of keys) counts against no event. Invariants: an entry is
posted before its event is settled, and its `external_id` makes the second posting of one fact impossible; so a worker
may die anywhere.
"""

from __future__ import annotations

import logging
import random as randomness
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from psycopg import Connection
from sqlalchemy import Engine

from ingest.inbox import store
from ingest.inbox.accounts import Accounts, ProviderAccount
from ingest.inbox.backoff import pause_seconds
from ingest.inbox.metrics import InboxMetrics
from ingest.inbox.payloads import Payloads
from ingest.inbox.policy import LEAVE, PROPOSE
from ingest.inbox.port import Defer, Drafts, Event, Handler, Ignore
from ingest.inbox.posting import NotPosted, has_book, post
from ingest.inbox.providers import find_provider
from ingest.inbox.render import render
from ledger_core.errors import ConfigurationError, CounterfoilError, DependencyError, Erased, KeyNotOpened
from ledger_core.journal.cards import without_cards
from ledger_core.journal.entries import EntryDraft, entry_as_json
from ledger_core.ports import LedgerPort

BUSY_SECONDS = 0.05
OUR_OWN_SECONDS = 5.0
"""How long an event waits for what is ours to mend."""

POSTED: Final = "posted"
_log = logging.getLogger("counterfoil.inbox")


class WorkingRuntime(Protocol):
    """What is needed of `ledger_core.runtime.Runtime`."""

    wrapping: Any
    settings: Any

    def ledger(self, book: str | None = None) -> LedgerPort:
        """Return the posting library for `book`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What one turn came to: the event, and its status or `retried`, `held`."""

    inbox_id: int
    outcome: str


class Worker:
    """Works off one event a turn. Safe for threads; `engine` has a connection for each."""

    def __init__(
        self,
        runtime: WorkingRuntime,
        engine: Engine,
        *,
        metrics: InboxMetrics | None = None,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        self._runtime, self._engine = runtime, engine
        self._metrics = metrics or InboxMetrics()
        self._random = random
        self._max_attempts: int = runtime.settings.webhooks.max_attempts
        self._lease_seconds: float = runtime.settings.webhooks.lease_seconds
        self._accounts = Accounts(runtime.settings.webhooks_folder)
        self._payloads = Payloads(runtime)
        self._handlers: dict[str, tuple[ProviderAccount, Handler]] = {}

    def turn(self) -> Done | None:
        """Work on the event that is due longest; None where none is. Raises `DependencyError` without a database."""
        with store.transaction(self._engine) as connection:
            inbox_id = store.claim(connection, lease_seconds=self._lease_seconds)
        if inbox_id is None:
            return None
        with store.transaction(self._engine) as connection:
            row = store.hold(connection, inbox_id)
            if row is None:
                return Done(inbox_id=inbox_id, outcome="held")
            outcome = self._work(connection, row)
        self._metrics.settled(row.provider, outcome, row.waited_seconds)
        return Done(inbox_id=inbox_id, outcome=outcome)

    def close(self) -> None:
        """Let go of the providers' APIs."""
        for _, handler in self._handlers.values():
            handler.close()
        self._handlers.clear()

    def _work(self, connection: Connection[Any], row: store.Row) -> str:
        if not store.hold_object(connection, row):
            store.put_off(connection, row, seconds=BUSY_SECONDS, reason=None, counted=False)
            return "held"
        if row.attempts > self._max_attempts:
            return self._bury(connection, row, "each attempt ended with its worker: see the worker's log")
        if (status := store.applied_before(connection, row)) is not None:
            store.settle(
                connection, row, status, reason=f"this or a newer version of {row.object_id} was applied before"
            )
            return status
        try:
            return self._apply(connection, row)
        except NotPosted as error:
            return self._wait_for_us(connection, row, error.why)
        except DependencyError as error:
            if error.context.get("dependency") == "postgres":
                raise
            if not error.retryable:
                return self._bury(connection, row, _said(error))
            return self._retry(connection, row, _said(error), at_least=error.retry_after_seconds)
        except ConfigurationError as error:
            # Whoever mends the file finds the events still there.
            return self._retry(connection, row, _said(error))
        except CounterfoilError as error:
            return self._bury(connection, row, _said(error))

    def _apply(self, connection: Connection[Any], row: store.Row) -> str:
        account = self._account(row)
        choice = account.choice(row.type)
        if choice == LEAVE and row.approved_by is None:
            store.settle(connection, row, "left", reason="the policy leaves it to whoever posts it")
            return "left"
        payload = self._open(connection, row)
        outcome = self._handler(account).handle(
            Event(
                provider=row.provider, account=row.account, event_id=row.event_id, type=row.type,
                object_id=row.object_id, payload=payload,
            )
        )  # fmt: skip
        if isinstance(outcome, Ignore):
            store.settle(connection, row, "ignored", reason=outcome.reason)
            return "ignored"
        if isinstance(outcome, Defer):
            return self._retry(connection, row, outcome.reason)
        assert isinstance(outcome, Drafts)
        entries = [render(draft, account, trace_id=row.trace_id, event_id=row.event_id) for draft in outcome.drafts]
        if choice == PROPOSE and row.approved_by is None:
            proposal = [entry_as_json(entry) for entry in entries]
            store.settle(connection, row, "proposed", reason="the policy wants a person", proposal=proposal)
            return "proposed"
        return self._post(connection, row, account, entries)

    def _post(
        self, connection: Connection[Any], row: store.Row, account: ProviderAccount, entries: list[EntryDraft]
    ) -> str:
        # As the account says now: it may have been mended since the event came.
        book = account.book or self._runtime.settings.book
        if not has_book(self._engine, book):
            raise ConfigurationError(
                f"there is no book {book}.",
                file=str(account.settings_path),
                remedy=f"Name one that is open, or open it: `counterfoil accounts apply FILE --book {book}`.",
            )
        subject = f"webhook:{row.provider}:{row.account}"
        entry_ids = post(self._runtime.ledger(book), self._engine, entries, subject=subject)
        store.keep_version(connection, row)
        store.settle(connection, row, POSTED, book=book, entry_ids=entry_ids)
        return POSTED

    def _account(self, row: store.Row) -> ProviderAccount:
        found = self._accounts.look_up(row.provider, row.account)
        if found is None:
            raise ConfigurationError(
                f"the account {row.provider}/{row.account} is not set up here.",
                file=str(self._accounts.folder / row.provider / row.account),
                remedy="Give the worker the folder that the API has (COUNTERFOIL_WEBHOOKS__FOLDER).",
            )
        return found

    def _handler(self, account: ProviderAccount) -> Handler:
        """Return the handler of an account; made anew when its files changed."""
        known = self._handlers.get(account.name)
        if known is None or known[0] is not account:
            known = (account, find_provider(account.provider).make_handler(account))
            self._handlers[account.name] = known
        return known[1]

    def _open(self, connection: Connection[Any], row: store.Row) -> Any:
        try:
            return self._payloads.open(connection, row.key_id, row.payload, whose=row.whose)
        except (Erased, KeyNotOpened):
            raise
        except (DependencyError, ConfigurationError) as error:
            raise NotPosted(error) from error

    def _wait_for_us(self, connection: Connection[Any], row: store.Row, why: CounterfoilError) -> str:
        pause = max(OUR_OWN_SECONDS, float(getattr(why, "retry_after_seconds", 0)))
        store.put_off(connection, row, seconds=pause, reason=_said(why), counted=False)
        _log.warning("event %s of %s/%s waits: %s", row.event_id, row.provider, row.account, why)
        return "held"

    def _retry(self, connection: Connection[Any], row: store.Row, reason: str, *, at_least: float = 0.0) -> str:
        if row.attempts >= self._max_attempts:
            return self._bury(connection, row, f"{reason} (after {row.attempts} attempts)")
        pause = pause_seconds(row.attempts, random=self._random, at_least=at_least)
        store.put_off(connection, row, seconds=pause, reason=reason)
        return "retried"

    def _bury(self, connection: Connection[Any], row: store.Row, reason: str) -> str:
        store.settle(connection, row, "dead", reason=reason)
        _log.error("event %s of %s/%s is a dead letter: %s", row.event_id, row.provider, row.account, reason)
        return "dead"


def _said(error: CounterfoilError) -> str:
    return without_cards(f"{error.code}: {error}")
