"""What waits to be sequenced: bounded, in order, one running request a key.

All methods take the sequencer's condition, so that whoever waits for work, for room or for the end waits in one place.
"""

from __future__ import annotations

import threading
from collections import deque

from ledger_core.book.posting.requests import Request
from ledger_core.errors import CounterfoilError, DependencyError, InFlight, TooManyRequests
from ledger_core.settings import MAX_BATCH_BYTES, MAX_BATCH_RECORDS

MAX_QUEUED_RECORDS = 50_000
"""What may wait in this process; beyond it callers are told to come back."""

MAX_QUEUED_BYTES = 32 * 1024 * 1024
"""Of bodies, which as drafts and rows take some four times as much memory."""


class RequestQueue:
    """The requests of one book that are not in a batch yet."""

    def __init__(self, changed: threading.Condition) -> None:
        self.changed = changed
        self.closing = False
        self.failure: CounterfoilError | None = None
        self._requests: deque[Request] = deque()
        self._records = 0
        self._bytes = 0
        self._keys: set[tuple[str, str]] = set()

    def put(self, request: Request) -> None:
        """Queue `request`.

        Raises `InFlight` while a request with its key is not durable yet, `TooManyRequests` when the queue is full,
        and the error that stopped this book, if one did.
        """
        with self.changed:
            if self.failure is not None:
                raise self.failure
            if self.closing:
                raise DependencyError("the ledger is being closed.", remedy="Send it again.")
            if self._records and self._records + request.weight > MAX_QUEUED_RECORDS:
                raise TooManyRequests(
                    f"{self._records:,} records wait already; {MAX_QUEUED_RECORDS:,} are the most.",
                    remedy="Send it again later.",
                )
            if self._bytes and self._bytes + request.bytes > MAX_QUEUED_BYTES:
                raise TooManyRequests(
                    f"{self._bytes:,} bytes wait already; {MAX_QUEUED_BYTES:,} are the most.",
                    remedy="Send it again later.",
                )
            if request.key is not None:
                if (request.route, request.key) in self._keys:
                    raise InFlight("a request with this key is running.", remedy="Ask again with the same key.")
                self._keys.add((request.route, request.key))
            request.future.set_running_or_notify_cancel()
            self._requests.append(request)
            self._records += request.weight
            self._bytes += request.bytes
            self.changed.notify_all()

    @property
    def empty(self) -> bool:
        return not self._requests

    @property
    def full_batch(self) -> bool:
        """Whether what waits fills a batch; more would not make the next one larger."""
        return self._records >= MAX_BATCH_RECORDS or self._bytes >= MAX_BATCH_BYTES

    def take(self) -> list[Request]:
        """Return, and no longer hold, as many requests as one batch takes: none if none wait."""
        with self.changed:
            taken: list[Request] = []
            records = size = 0
            while self._requests:
                request = self._requests[0]
                if taken and (records + request.weight > MAX_BATCH_RECORDS or size + request.bytes > MAX_BATCH_BYTES):
                    break
                taken.append(self._requests.popleft())
                records += request.weight
                size += request.bytes
            self._records -= records
            self._bytes -= size
            return taken

    def release(self, request: Request) -> None:
        """Let another request with the same key in: this one is durable, or refused."""
        if request.key is not None:
            with self.changed:
                self._keys.discard((request.route, request.key))

    def stop(self, failure: CounterfoilError) -> list[Request]:
        """Take no more requests, and return those that waited."""
        with self.changed:
            self.failure = self.failure or failure
            waited = list(self._requests)
            self._requests.clear()
            self._records = self._bytes = 0
            self.changed.notify_all()
            return waited
