"""Tell one destination of every book's log, from where it stands.

Only what is signed is told: a record above the signed size may still be another after a crash. Invariant: the cursor
moves after the destination has what lies below it, so nothing is left out; who is killed between the two tells again.
One relay at a time for a book and a destination, by a lock that dies with its holder.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from ledger_core.base.locks import hold_lock
from ledger_core.errors import DependencyError, LedgerBehind
from ledger_core.relay.cursors import move_cursor, read_cursor
from ledger_core.relay.events import read_events

if TYPE_CHECKING:
    from ledger_core.relay.port import Destination
    from ledger_core.runtime import Runtime

RELAY_LOCK = 0x72656C61
"""`rela`: sets the relays apart from other advisory locks."""


class Elsewhere(DependencyError):
    """Another process tells this destination of this book."""


@dataclass(slots=True)
class Relay:
    """One destination and the books of a runtime."""

    runtime: Runtime
    destination: Destination
    lag: dict[str, int] = field(default_factory=dict)
    """Signed records that it was not told of at the end of its last turn, by book."""
    _waiting: dict[str, float] = field(default_factory=dict)
    """Since when records wait, by book, on the clock of this process."""

    def turn(self, *, hurry: bool = False) -> int:
        """Tell of what is signed in every book and return how many records; `hurry` gathers nothing.

        Raises what the first book met that could not be told of, after every other had its turn.
        """
        with self.runtime.engine.connect() as connection:
            heads = connection.execute(
                text("select book, origin, signed_size from ledger.log_head order by book")
            ).all()
        told, failed = 0, None
        for head in heads:
            try:
                told += self._tell(head.book, head.origin, head.signed_size, hurry=hurry)
            except Elsewhere:
                self.lag.pop(head.book, None)
            except Exception as error:  # noqa: BLE001 - one book's trouble keeps no other from being told
                failed = failed or error
        if failed is not None:
            raise failed
        return told

    def close(self) -> None:
        """Give the destination's connections back."""
        self.destination.close()

    def _tell(self, book: str, origin: str, signed_size: int, *, hurry: bool) -> int:
        name = self.destination.name
        with (
            hold_lock(
                self.runtime.engine,
                RELAY_LOCK,
                of=f"{book} {name}",
                busy=lambda: Elsewhere("it is served."),
            ),
            closing(self.runtime.engine.raw_connection()) as pooled,
        ):
            connection: Any = pooled.driver_connection
            first = read_cursor(connection, book, name)
            connection.rollback()
            if first > signed_size:
                raise LedgerBehind(
                    f"{name} was told of {first:,} records of book {book}, and {signed_size:,} are signed here.",
                    remedy="This database is behind what was told outside: see docs/runbooks/restore.md.",
                )
            told = first
            while told < signed_size and (hurry or self._is_due(book, signed_size - told)):
                events = read_events(connection, book, origin, told, signed_size, limit=self.destination.batch_records)
                connection.rollback()
                self.destination.publish(events)
                told = events[-1].seq + 1
                move_cursor(connection, book, name, next_seq=told)
                connection.commit()
                self._waiting.pop(book, None)
            self.lag[book] = signed_size - told
            return told - first

    def _is_due(self, book: str, waiting: int) -> bool:
        """Tell whether enough records wait, or have waited for long enough."""
        since = self._waiting.setdefault(book, time.monotonic())
        waited = time.monotonic() - since
        return waiting >= self.destination.batch_records or waited >= self.destination.wait_seconds
