"""How the proxy is put together: key under a deadline, service, clients, log of calls, counters.

In this order, so that nothing is made for a proxy that may not start: the list of clients is read first, the log of
calls begun last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from ledger_core.errors import CounterfoilError
from ledger_core.log.object_tree import Place
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.bootstrap import open_service
from ledger_core.signing.call_log import CallLog
from ledger_core.signing.clients import CLIENTS_FILE, Client, read_clients, socket_client
from ledger_core.signing.gate import Gate
from ledger_core.signing.measures import Measures
from ledger_core.signing.patient import SIGN_SECONDS, PatientBackend
from ledger_core.signing.port import SigningBackend
from ledger_core.signing.service import ALLOWED_TYPES


def open_gate(
    folder: Path,
    *,
    trust_path: Path,
    origin_prefix: str,
    settings: SignerSettings,
    clock: Callable[[], datetime],
    archive: Place | None = None,
    over_tls: bool = False,
    over_socket: bool = True,
    sign_seconds: float = SIGN_SECONDS,
) -> Gate:
    """Return the gate over `folder`, whose lock the caller holds. Raises as `open_service` and `read_clients`."""
    clients: Mapping[str, Client] = {}
    if over_tls:
        clients = read_clients(folder / CLIENTS_FILE, origin_prefix, ALLOWED_TYPES)
    measures = Measures()
    wrapped: list[PatientBackend] = []

    def wrap(key: SigningBackend) -> PatientBackend:
        wrapped.append(PatientBackend(key, measures, seconds=sign_seconds))
        return wrapped[0]

    service = open_service(
        folder,
        trust_path=trust_path,
        origin_prefix=origin_prefix,
        settings=settings,
        clock=clock,
        archive=archive,
        wrap=wrap,
    )
    try:
        log = CallLog(folder, clock=clock)
    except CounterfoilError:
        service.close()
        raise
    return Gate(
        service=service,
        backend=wrapped[0],
        log=log,
        measures=measures,
        owner=socket_client(origin_prefix, ALLOWED_TYPES) if over_socket else None,
        clients=clients,
    )
