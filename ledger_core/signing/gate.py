"""What stands around every call of the proxy: who may ask it, how often, the line in the log, the counters.

Not what is signed, which the service judges after this. Invariants: what is answered stands in the log before the
answer leaves; a client without an entry in the list reaches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ledger_core.errors import CounterfoilError, SignerRefused
from ledger_core.signing.call_log import CallLog
from ledger_core.signing.clients import CLIENTS_FILE, SOCKET, Client
from ledger_core.signing.measures import Measures
from ledger_core.signing.patient import PatientBackend
from ledger_core.signing.service import SigningService

Answer = TypeVar("Answer")
Line = dict[str, Any]
"""What a call adds to its line in the log: `origin`, `size`, `root`, ..."""


class Gate:
    """One service, and the clients that may reach it. Safe for threads."""

    def __init__(
        self,
        *,
        service: SigningService,
        backend: PatientBackend,
        log: CallLog,
        measures: Measures,
        owner: Client | None,
        clients: Mapping[str, Client],
    ) -> None:
        self.service, self.log, self.measures = service, log, measures
        self._backend = backend
        self._clients = {**clients, **({} if owner is None else {SOCKET: owner})}

    def run(self, identity: str | None, call: str, work: Callable[[Client, Line], Answer]) -> Answer:
        """Return what `work` does for the client called `identity`, once that is in the log.

        Raises `SignerRefused` for a client or a call that is not in the list, `RateLimited`, and as `work` does.
        """
        line: Line = {}
        before, outcome = self._backend.made, "fault"
        client = None if identity is None else self._clients.get(identity)
        try:
            answer = work(self._require(client, identity, call), line)
            outcome = "ok"
            return answer
        except CounterfoilError as error:
            outcome = str(error.context.get("reason") or error.code)
            raise
        finally:
            made = self._backend.made - before
            self.measures.called("unknown" if client is None else client.name, call, outcome)
            self.log.write(
                client=identity or "", call=call, outcome=outcome, **line, **({"signatures": made} if made else {})
            )

    def text_of_measures(self) -> str:
        """Return the counters as Prometheus reads them."""
        return self.measures.text(
            {
                "state_generation": ("How many times the witness state moved on.", self.service.generation),
                "call_log_lines": ("Lines in the log of calls.", self.log.head.lines),
            }
        )

    def close(self) -> None:
        """Wait for the call in hand, and close what is behind it."""
        self.service.close()
        self.log.close()

    def _require(self, client: Client | None, identity: str | None, call: str) -> Client:
        if client is None:
            raise SignerRefused(
                f"nobody called {identity!r:.200} may have anything signed here."
                if identity
                else "the certificate has no name, or more than one.",
                remedy=f"Name the client in {CLIENTS_FILE}; see docs/runbooks/signing-proxy.md.",
                reason="identity",
            )
        client.require_call(call)
        return client
