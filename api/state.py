"""What one API process holds while it runs, and the few ways a route reaches it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Query, Request
from sqlalchemy import Connection, Engine
from starlette.concurrency import run_in_threadpool

from api.auth.port import Authenticator
from api.health import Health
from api.heavy import HeavyWork
from api.http.budget import BodyBudget
from api.metrics import Metrics
from ledger_core.errors import NotFound
from ledger_core.settings import Settings

if TYPE_CHECKING:
    from ingest.inbox.receive import Receiver
    from ledger_core.ports import LedgerPort
    from ledger_core.runtime import Runtime

MONITORS_AT_ONCE = 4
MONITORS_WAITING = 60
DELIVERIES_AT_ONCE = 8
DELIVERIES_WAITING = 248
"""Webhooks wait for half of the threads, so that a crowd of them, signed or not, keeps no reader waiting."""
READERS_AT_ONCE = 4
READERS_WAITING = 60


@dataclass(slots=True, kw_only=True)
class ApiState:
    """The wiring of one process; made by the lifespan, closed by it."""

    settings: Settings
    authenticator: Authenticator
    metrics: Metrics
    runtime: Runtime | None = None
    reader: Engine | None = None
    """Reads go through the role that cannot write, and through a pool of their own."""
    receiver: Receiver | None = None
    """Takes webhooks; made by the lifespan."""
    ledgers: dict[str, LedgerPort] = field(default_factory=dict)
    bodies: BodyBudget = field(default_factory=BodyBudget)
    heavy: HeavyWork = field(default_factory=HeavyWork)
    monitors: HeavyWork = field(
        default_factory=lambda: HeavyWork(at_once=MONITORS_AT_ONCE, max_waiting=MONITORS_WAITING)
    )
    """For those who read the log as tiles, who may be anybody: a part of the connections, the rest are for callers."""
    bundles: HeavyWork = field(default_factory=lambda: HeavyWork(at_once=READERS_AT_ONCE, max_waiting=READERS_WAITING))
    """For those who read the records as bundles, with a token: a crowd without one does not keep them waiting."""
    deliveries: HeavyWork = field(
        default_factory=lambda: HeavyWork(at_once=DELIVERIES_AT_ONCE, max_waiting=DELIVERIES_WAITING)
    )
    """For providers, who need no token: their signatures are looked at here."""
    health: Health = field(default_factory=Health)
    signer_answer: tuple[float, Mapping[str, int], str | None] = (float("-inf"), MappingProxyType({}), None)
    """When the signing proxy was last asked for its health, the sizes it signed last, and what was wrong."""
    _opening: threading.Lock = field(default_factory=threading.Lock)

    async def ledger(self, book: str) -> LedgerPort:
        """Return the posting library of `book`. Raises `NotFound`: the API never opens a book that nobody opened."""
        found = self.ledgers.get(book)
        return found if found is not None else await run_in_threadpool(self.ledger_blocking, book)

    def ledger_blocking(self, book: str) -> LedgerPort:
        """Return the posting library of `book`, for callers in a thread."""
        with self._opening:
            if book not in self.ledgers:
                require_book(self, book)
                assert self.runtime is not None
                self.adopt(book, self.runtime.ledger(book))
            return self.ledgers[book]

    def adopt(self, book: str, ledger: LedgerPort) -> None:
        """Take `ledger` for `book` and listen to what its sequencer measures."""
        ledger.observer = self.metrics
        self.metrics.clock_ahead.labels(book).set_function(lambda: getattr(ledger, "clock_ahead_seconds", 0.0))
        self.ledgers[book] = ledger

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection that cannot write and sees one state of the database throughout."""
        assert self.reader is not None
        with self.reader.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            yield connection


def state_of(request: Request) -> ApiState:
    """Return the state of the process that answers `request`."""
    state: ApiState = request.app.state.api
    return state


def require_book(state: ApiState, book: str) -> None:
    """Return if `book` is open. Raises `NotFound`."""
    from ledger_core.reading.heads import read_head

    with state.reading() as connection:
        try:
            read_head(connection, book)
        except NotFound as error:
            raise NotFound(f"there is no book {book}.", remedy="Name an open book in ?book= or in the body.") from error


def _book(
    request: Request,
    book: Annotated[str | None, Query(description="The book; the installation's default when absent.")] = None,
) -> str:
    return book or state_of(request).settings.book


State = Annotated[ApiState, Depends(state_of)]
Book = Annotated[str, Depends(_book)]
