"""How long an event waits before it is tried again: twice as long each time, with jitter, up to an hour."""

from __future__ import annotations

from collections.abc import Callable

BASE_SECONDS = 2.0
MAX_SECONDS = 3_600.0


def pause_seconds(attempts: int, *, random: Callable[[], float], at_least: float = 0.0) -> float:
    """Return the pause after `attempts` that came to nothing; `random` gives a number from 0 to 1.

    Between half of the full pause and all of it, so that what failed together does not come back together. `at_least`
    is what whoever refused asked for.
    """
    assert attempts >= 1
    full = min(MAX_SECONDS, BASE_SECONDS * 2.0 ** min(attempts - 1, 30))
    return max(at_least, full * (0.5 + 0.5 * random()))
