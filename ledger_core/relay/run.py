"""Relays that go on until they are told to end, a thread each, beside whatever else their process does.

What fails is said and tried again, later each time up to half a minute: brokers that are away stop no posting, and no
other destination.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from ledger_core.relay.kafka import KafkaDestination
from ledger_core.relay.relay import Relay
from ledger_core.relay.stream import StreamDestination

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger_core.relay.port import Destination
    from ledger_core.runtime import Runtime

POLL_SECONDS = 0.25
MAX_PAUSE_SECONDS = 30.0
CLOSE_SECONDS = 10.0

_log = logging.getLogger("counterfoil.relay")


class Relaying:
    """The relays of a runtime; `close` ends each after the turn that is running, if that ends soon."""

    def __init__(self, runtime: Runtime) -> None:
        self._relays = [Relay(runtime, destination) for destination in destinations(runtime)]
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=[relay], name=f"relay {relay.destination.name}", daemon=True)
            for relay in self._relays
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End, waiting a little for turns that are running."""
        self._end.set()
        for thread in self._threads:
            thread.join(timeout=CLOSE_SECONDS)

    def _run(self, relay: Relay) -> None:
        pause = POLL_SECONDS
        while not self._end.wait(pause):
            try:
                relay.turn()
                pause = POLL_SECONDS
            except Exception as error:  # noqa: BLE001 - said, and tried again
                pause = min(MAX_PAUSE_SECONDS, 2 * max(pause, 0.5))
                _log.warning("%s was not told, again in %.0f s: %s", relay.destination.name, pause, error)
        relay.close()


def destinations(runtime: Runtime) -> Iterator[Destination]:
    """Yield where the log is told to: the archive, and the brokers where they are set."""
    yield StreamDestination(runtime.archive)
    if runtime.settings.kafka_bootstrap_servers is not None:
        yield KafkaDestination(runtime.settings)
