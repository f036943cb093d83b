"""How often a book asks for a signature: at once where few post, after a pause where many would share it.

A signature takes what is durable when it is asked for. One asked for as soon as the one before is back is shared by the
few posts that came meanwhile, and a key with a price per call is asked a hundred times a second. So once a pause would
gather at least ten posts, it is made. A caller that posts one after another never meets it, however quickly: what he
waits for gathers nobody else, and the signature before answered him alone. Not here: who asks (`sequencer.tail`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

WORTH_POSTS = 10
"""A pause that gathers fewer would delay each of them more than it saves."""
SHARED_BY = 2
"""So many requests must the last signature have answered: of one that is answered alone the next comes afterwards."""
MEMORY_SECONDS = 0.25
"""How long a post counts for how many come: a burst of posts is met by pauses before it has cost many signatures."""


class Pace:
    """When one book's next signature may be asked for. Not safe for threads: its tail's lock guards it."""

    def __init__(self, pause_seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._asked_at = -math.inf
        self._level = 0.0
        """Posts, each forgotten by and by."""
        self._level_at = 0.0
        self._answered = 0

    def posted(self, count: int) -> None:
        """Note that `count` requests became durable."""
        self._level, self._level_at = self._remembered() + count, self._clock()

    def asked(self) -> None:
        """Note that a signature is asked for."""
        self._asked_at = self._clock()

    def answered(self, count: int) -> None:
        """Note that a signature came, and answered `count` requests."""
        self._answered = count

    def wait_seconds(self) -> float:
        """Return how long the next signature waits; 0 for not at all."""
        if self._answered < SHARED_BY:
            return 0.0
        if self._remembered() / MEMORY_SECONDS * self._pause_seconds < WORTH_POSTS:
            return 0.0
        return max(0.0, self._asked_at + self._pause_seconds - self._clock())

    def _remembered(self) -> float:
        return self._level * math.exp((self._level_at - self._clock()) / MEMORY_SECONDS)
