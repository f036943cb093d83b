"""Anchor the checkpoints of all books in the archive every few minutes, beside the requests of one API process.

The API is where postings arrive between two nights; the close archives what it posts itself. Replicas may all do it,
since writing an anchor twice is a no-op. What fails is said and tried again at the next turn: an archive that is away
stops no posting, and a log that cannot be anchored keeps no other from it. Invariant: nothing is asked of the archive
while no log grew.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from ledger_core.errors import CannotRun, CounterfoilError
from ledger_core.evidence.anchor import anchor_each

if TYPE_CHECKING:
    from api.metrics import Metrics
    from ledger_core.runtime import Runtime

CLOSE_SECONDS = 10.0

_log = logging.getLogger("counterfoil.anchoring")


class Anchoring:
    """A thread that anchors every `seconds`; `close` ends it after the turn that is running, if that ends soon."""

    def __init__(self, runtime: Runtime, metrics: Metrics, *, seconds: float) -> None:
        self._runtime = runtime
        self._metrics = metrics
        self._seconds = seconds
        self._anchored: dict[str, int] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="anchoring", daemon=True)

    def start(self) -> None:
        """Begin; the first turn comes after one interval."""
        self._thread.start()

    def close(self) -> None:
        """End, waiting a little for a turn that is running: one that an archive keeps waiting ends with the process."""
        self._end.set()
        self._thread.join(timeout=CLOSE_SECONDS)

    def turn(self) -> None:
        """Anchor once. Nothing is raised: what went wrong is logged and counted."""
        try:
            done = anchor_each(self._runtime, self._anchored)
        except Exception as error:  # noqa: BLE001 - said, counted, tried again
            # Of the database, say: no book had its turn.
            self._failed("every log", error)
            return
        for origin, error in done.failed.items():
            self._failed(origin, error)
        if done.written or not done.failed:
            self._metrics.anchorings.labels("written" if done.written else "unchanged").inc()
        for origin, size in self._anchored.items():
            self._metrics.anchored_size.labels(origin).set(size)
            self._metrics.anchoring_failed.labels(origin).set(origin in done.failed)
        for origin in done.failed:
            self._metrics.anchoring_failed.labels(origin).set(1)

    def _failed(self, what: str, error: Exception) -> None:
        """Say which log was not anchored, and whether waiting may help."""
        if isinstance(error, (CannotRun, SQLAlchemyError)):
            self._metrics.anchorings.labels("late").inc()
            _log.warning("no checkpoint of %s was anchored, the next turn tries again: %s", what, error)
        elif isinstance(error, CounterfoilError):
            self._metrics.anchorings.labels("refused").inc()
            _log.error("no checkpoint of %s was anchored: %s", what, error)
        else:
            # An answer that nobody foresaw must not end the thread, and with it anchoring, without a word.
            self._metrics.anchorings.labels("late").inc()
            _log.error("no checkpoint of %s was anchored, the next turn tries again", what, exc_info=error)

    def _run(self) -> None:
        while not self._end.wait(self._seconds):
            self.turn()
