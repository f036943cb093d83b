"""What a consumer would see, read straight from the log: no destination is asked, and no cursor moves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ledger_core.errors import InvalidInput
from ledger_core.reading.heads import read_head
from ledger_core.relay.events import Event, read_events

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

BATCH_RECORDS = 500
POLL_SECONDS = 0.25


def tail(
    runtime: Runtime, book: str, *, first: int | None = None, last: int = 10, follow: bool = False
) -> Iterator[Event]:
    """Yield the signed records of `book` as events: from `first` on, or the `last` so many; with `follow` for ever.

    Raises `NotFound` for a book that is not there, `InvalidInput` for a `first` beyond what is signed.
    """
    with runtime.engine.connect() as connection:
        head = read_head(connection, book)
    if first is not None and first > head.signed_size:
        raise InvalidInput(
            f"book {book} has {head.signed_size:,} signed records; there is no record {first:,} yet.",
            pointer="--from",
            remedy="Name a lower number, or none for the newest.",
        )
    at, end = max(0, head.signed_size - last) if first is None else first, head.signed_size
    while at < end or follow:
        with closing(runtime.engine.raw_connection()) as pooled:
            connection_: Any = pooled.driver_connection
            events = read_events(connection_, book, head.origin, at, end, limit=BATCH_RECORDS)
        yield from events
        if events:
            at = events[-1].seq + 1
            continue
        time.sleep(POLL_SECONDS)
        with runtime.engine.connect() as connection:
            end = read_head(connection, book).signed_size
