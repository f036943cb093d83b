"""How many bytes of requests the proxy holds at once: a bound on all of them together.

A request's own bound says nothing of as many requests as there may be connections. What is small, as a checkpoint of an
ordinary batch is, is always taken; what is large shares one budget, and is told to come again when that is spent. Only
what has arrived counts: who announces much and sends nothing takes nothing from anybody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ledger_core.errors import DependencyError

FREE_BYTES = 64 * 1024
"""Of each body: a checkpoint of a thousand records, which no flood of large ones may turn away."""
MAX_HELD_BYTES = 64 * 1024 * 1024
"""Two bodies of the largest size that is taken; each is in memory a few times while it is read and signed."""
CHUNK_BYTES = 64 * 1024


class BodyBudget:
    """The bytes beyond the free ones that are held now. Safe for threads."""

    def __init__(self, max_bytes: int = MAX_HELD_BYTES) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0
        self._guard = threading.Lock()

    def take(self, size: int) -> None:
        """Take `size` bytes. Raises `DependencyError` when they are not there."""
        with self._guard:
            if self.held_bytes + size > self.max_bytes:
                raise DependencyError(
                    "too many large requests are being received at once.",
                    remedy="Send it again in a moment, or fewer at once.",
                )
            self.held_bytes += size

    def give_back(self, size: int) -> None:
        """Give `size` bytes back."""
        with self._guard:
            self.held_bytes -= size


class Share:
    """What one connection holds of a budget, until its request is answered."""

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._taken_bytes = 0

    def read(self, source: Callable[[int], bytes], length: int) -> bytes:
        """Return `length` bytes of `source`, fewer where it ends. Raises `DependencyError` when the budget is spent."""
        chunks, size = [], 0
        while size < length and (chunk := source(min(CHUNK_BYTES, length - size))):
            size += len(chunk)
            more = size - FREE_BYTES - self._taken_bytes
            if more > 0:
                self._budget.take(more)
                self._taken_bytes += more
            chunks.append(chunk)
        return b"".join(chunks)

    def give_back(self) -> None:
        """Give back all that was taken."""
        self._budget.give_back(self._taken_bytes)
        self._taken_bytes = 0
