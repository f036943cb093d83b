"""Workers that go on until they are told to end, threads of one process beside whatever else it does.

A database that is away is waited for; nothing else stops a worker. Once a minute it is said how the inbox stands,
once an hour what is kept no longer is dropped.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from ingest.inbox import store
from ingest.inbox.letters import standing
from ingest.inbox.metrics import InboxMetrics
from ingest.inbox.worker import Worker
from ledger_core.base.engine import make_engine

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

IDLE_SECONDS = 0.25
MAX_PAUSE_SECONDS = 10.0
TELL_SECONDS = 15.0
FORGET_SECONDS = 3_600.0
CLOSE_SECONDS = 15.0

_log = logging.getLogger("counterfoil.inbox")


class Inbox:
    """The workers of a runtime; `close` ends each after the event that it is at, if that ends soon."""

    def __init__(self, runtime: Runtime, **options: Any) -> None:
        self._settings = runtime.settings.webhooks
        count = self._settings.workers
        # Two for each: one that works, one that claims; and one for whoever tells.
        self._engine = make_engine(runtime.database_url, application="counterfoil-inbox", pool_size=count + 1)
        self._metrics = InboxMetrics()
        self._worker = Worker(runtime, self._engine, metrics=self._metrics, **options)
        self._end = threading.Event()
        self._server: Any = None
        self._threads = [
            threading.Thread(target=self._run, name=f"inbox {number}", daemon=True) for number in range(count)
        ]
        self._threads.append(threading.Thread(target=self._tell, name="inbox tells", daemon=True))

    def start(self) -> None:
        """Begin."""
        if self._settings.metrics_port:
            from prometheus_client import start_http_server

            self._server, _ = start_http_server(
                self._settings.metrics_port, addr="127.0.0.1", registry=self._metrics.registry
            )
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End, waiting a little for events that are being worked on."""
        self._end.set()
        for thread in self._threads:
            thread.join(timeout=CLOSE_SECONDS)
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._worker.close()
        self._engine.dispose()

    def _run(self) -> None:
        pause = 0.0
        while not self._end.wait(pause):
            try:
                pause = IDLE_SECONDS if self._worker.turn() is None else 0.0
            except Exception as error:  # noqa: BLE001 - said, and tried again: the event is due again by itself
                pause = min(MAX_PAUSE_SECONDS, 2 * max(pause, IDLE_SECONDS))
                _log.warning(
                    "a turn of the inbox ended, again in %.1f s: %s", pause, error, exc_info=_unforeseen(error)
                )

    def _tell(self) -> None:
        forgotten_at = float("-inf")
        while True:
            try:
                with store.transaction(self._engine) as connection:
                    self._metrics.standing(**standing(connection))
                if time.monotonic() - forgotten_at > FORGET_SECONDS:
                    self._forget()
                    forgotten_at = time.monotonic()
            except Exception as error:  # noqa: BLE001 - said, and tried again
                _log.warning("how the inbox stands is not known: %s", error)
            if self._end.wait(TELL_SECONDS):
                return

    def _forget(self) -> None:
        while not self._end.is_set():
            with store.transaction(self._engine) as connection:
                if not store.forget(connection, kept_days=self._settings.kept_days):
                    return


def _unforeseen(error: Exception) -> bool:
    from ledger_core.errors import CounterfoilError

    return not isinstance(error, CounterfoilError)
