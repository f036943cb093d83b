"""Asking dependencies how they are: at most one question of a kind at a time, outside the pool that answers requests.

Whoever can reach `/readyz` can ask it a thousand times a second, and a dependency that hangs keeps whoever asks it. So
all who ask together share one answer, an answer is kept for a moment, and after a while it is said that none came.
Invariant: no number of questions takes a thread or a connection from a post or a read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

KEPT_SECONDS = 1.0
PATIENCE_SECONDS = 3.0
"""Less than a probe's usual patience, so that the answer says what is missing."""
THREADS = 2
MAX_QUESTIONS = 64
"""Different ones that wait or are remembered: whoever asks may name any book."""

Answer = TypeVar("Answer")


class Health:
    """The questions of one process, each under a name of its own."""

    def __init__(self, *, kept_seconds: float = KEPT_SECONDS, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._kept_seconds = kept_seconds
        self._patience_seconds = patience_seconds
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="health")
        self._asked: dict[str, asyncio.Future[Any]] = {}
        self._answered: dict[str, tuple[float, Any]] = {}

    async def ask(self, name: str, question: Callable[[], Answer], *, late: Answer) -> Answer:
        """Return what `question` answers, or answered a moment ago; `late` when no answer comes in time."""
        kept = self._answered.get(name)
        if kept is not None and time.monotonic() - kept[0] < self._kept_seconds:
            found: Answer = kept[1]
            return found
        asked = self._asked.get(name)
        if asked is None and len(self._asked) >= MAX_QUESTIONS:
            return late
        if asked is None:
            asked = asyncio.get_running_loop().run_in_executor(self._threads, question)
            self._asked[name] = asked
            asked.add_done_callback(lambda done: self._keep(name, done))
        done, _ = await asyncio.wait([asked], timeout=self._patience_seconds)
        return asked.result() if done else late

    def close(self) -> None:
        """Wait for nobody: who hangs now hangs at the end too."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _keep(self, name: str, done: asyncio.Future[Any]) -> None:
        del self._asked[name]
        if not done.cancelled() and done.exception() is None:
            if len(self._answered) >= MAX_QUESTIONS:
                self._answered.clear()
            self._answered[name] = (time.monotonic(), done.result())
