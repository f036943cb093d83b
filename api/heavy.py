"""Work that computes for long, such as deep verification: one at a time, a short queue, and then a word to wait.

Such work holds the interpreter that posts need too. Four at once made a post wait eight times as long (p50 136 ms); one
after the other each takes as long as before, and a post meets at most one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ledger_core.errors import TooManyRequests

AT_ONCE = 1
MAX_WAITING = 8


class HeavyWork:
    """The places for heavy work of one process."""

    def __init__(self, *, at_once: int = AT_ONCE, max_waiting: int = MAX_WAITING) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._max = at_once + max_waiting
        self._here = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place and hold it. Raises `TooManyRequests` when too many wait already."""
        if self._here >= self._max:
            raise TooManyRequests("Too many such requests wait already.", remedy="Send it again a little later.")
        self._here += 1
        try:
            async with self._places:
                yield
        finally:
            self._here -= 1
