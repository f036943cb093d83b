"""Whether a book is behind what was signed of it, for whoever reads what an erasure may have dropped.

A backup that is restored holds again what its lost tail erased. Until the tail is back nobody can tell what that was,
so nothing that can be erased is shown. Invariant: what could not be compared is not shown either.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import Engine

from ledger_core.book.opening import LedgerParts
from ledger_core.book.sequencer.archived import newest_archived, require_not_behind
from ledger_core.book.sequencer.checkpoints import behind_signature
from ledger_core.book.sequencer.notary import head_sizes
from ledger_core.errors import CounterfoilError
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.signing.pinned import resolve_pinned

ASK_AGAIN_SECONDS = 10.0
"""How long one answer holds back what a book has, before proxy and archive are asked once more."""


class Behind:
    """What one process knows of its books; a book that was found whole is not asked for again."""

    def __init__(self, parts: LedgerParts, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._parts = parts
        self._monotonic = monotonic
        self._whole: set[str] = set()
        self._held_back: dict[str, tuple[float, CounterfoilError]] = {}

    def reason(self, book: str) -> CounterfoilError | None:
        """Return why what may have been erased of `book` is not shown: it is behind, or nobody could say. Else None."""
        if book in self._whole:
            return None
        asked_at, error = self._held_back.get(book, (float("-inf"), None))
        if error is not None and self._monotonic() - asked_at < ASK_AGAIN_SECONDS:
            return error
        try:
            require_whole(self._parts, book)
        except CounterfoilError as found:
            self._held_back[book] = self._monotonic(), found
            return found
        self._whole.add(book)
        return None


def require_whole(parts: LedgerParts, book: str) -> None:
    """Raise `LedgerBehind` where the proxy signed, or the archive holds, more of `book` than the database does.

    Raises `CannotRun` when one of them does not answer.
    """
    origin = parts.settings.origin_of(book)
    # Before the head is read: what is signed is durable, so a book that others write to is never taken for one behind.
    latest = parts.signer.latest(origin)
    size = _size(parts.engine, book)
    if latest is not None and (signed := parse_checkpoint(parse_note(latest).text).size) > size:
        raise behind_signature(book, size, signed)
    ring = partial(_ring, parts, origin)
    archived = newest_archived(parts.settings, origin, ring)
    require_not_behind(book, _size(parts.engine, book), lambda: archived)


def _size(engine: Engine, book: str) -> int:
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        return head_sizes(driver, book)[0]


def _ring(parts: LedgerParts, origin: str) -> KeyRing:
    return resolve_pinned(parts.settings.home / "trust.json", origin, parts.signer.keys())
