"""A breaker in front of somebody who does not answer: after a few failures in a row nobody waits for the next one.

Closed, every call passes. Open, every call fails at once. When the pause is over one call is let through: if it is
answered all pass again, else the pause doubles. Time is handed in; the caller says what a failure is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

FAILURES = 5
"""In a row, before it opens: more than a restart costs one thread."""
PAUSE_SECONDS = 0.2
MAX_PAUSE_SECONDS = 5.0


class Breaker:
    """Safe for threads."""

    def __init__(
        self,
        *,
        failures: int = FAILURES,
        pause_seconds: float = PAUSE_SECONDS,
        max_pause_seconds: float = MAX_PAUSE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._first, self._longest, self._clock = failures, pause_seconds, max_pause_seconds, clock
        self._guard = threading.Lock()
        self._failed = 0
        self._pause = pause_seconds
        self._until: float | None = None
        self._probing = False
        self.last_error = ""

    @property
    def failed(self) -> int:
        """How many calls have failed in a row."""
        return self._failed

    def wait_seconds(self) -> float:
        """Return 0 for a call that may pass now, else how long to wait. Whoever passes says how it went."""
        if self._until is None:
            return 0.0
        with self._guard:
            if self._until is None:
                return 0.0
            left = self._until - self._clock()
            if left > 0 or self._probing:
                return max(left, 0.01)
            self._probing = True
            return 0.0

    def succeeded(self) -> None:
        """Note an answer, whatever it said."""
        if self._failed == 0 and self._until is None:
            return
        with self._guard:
            self._failed, self._until, self._probing, self._pause = 0, None, False, self._first

    def gone(self, error: str) -> None:
        """Note that there was none."""
        with self._guard:
            self._failed += 1
            self.last_error = error
            if self._probing:
                self._pause = min(2 * self._pause, self._longest)
            elif self._failed < self._most or self._until is not None:
                # One that was under way when it opened changes nothing.
                return
            self._probing = False
            self._until = self._clock() + self._pause
