"""The two processes that the ledger itself needs: the embedded Postgres and the signing proxy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ledger_core.base.embedded import EmbeddedPostgres, runs_as_somebody_else
from ledger_core.base.engine import make_engine, require_server
from ledger_core.base.files import PRIVATE_FOLDER, private_folder
from ledger_core.base.processes import ProcessGroup, ProcessRecord, Service, short_socket_folder
from ledger_core.errors import ConfigurationError, DependencyError, SignerRefused
from ledger_core.settings import Settings
from ledger_core.settings.child import SIGNER_READS, child_environment
from ledger_core.signing.client import SigningClient
from ledger_core.signing.tls import TlsFiles

POSTGRES = "postgres"
SIGNING_PROXY = "signing-proxy"
READERS = {"owner": 0o500, "group": 0o550, "everyone": 0o555}
"""Who may read the archive, as the bits of a folder that is only read."""


def process_group(settings: Settings) -> ProcessGroup:
    """Return the processes of the home that `settings` name."""
    return ProcessGroup(settings.home / "run")


def home_mode(settings: Settings) -> int:
    """Return the mode of the home: its owner's alone, but for those who may pass through it to one folder of it."""
    mode = PRIVATE_FOLDER | READERS[settings.ledger.archive_readers] & 0o011
    return mode | 0o001 if settings.database_url is None and runs_as_somebody_else() else mode


def archive_mode(settings: Settings) -> int:
    """Return the mode of what the archive holds, for whom `ledger.archive_readers` names."""
    return READERS[settings.ledger.archive_readers] & 0o444


def postgres_service(settings: Settings) -> Service:
    """Return how the embedded Postgres is started; its address is the port on 127.0.0.1."""
    embedded = EmbeddedPostgres(folder=settings.home / "postgres", durable=settings.env != "test")

    def start() -> tuple[subprocess.Popen[bytes], str]:
        # At the port that it had: every process of the home, and whoever is connected from elsewhere, knows that one.
        port = settings.ledger.postgres_port or process_group(settings).last_port(POSTGRES)
        process, port = embedded.start(port=port)
        return process, f"127.0.0.1:{port}"

    def standing() -> tuple[int, str] | None:
        found = embedded.standing()
        return None if found is None else (found[0], f"127.0.0.1:{found[1]}")

    return Service(
        name=POSTGRES,
        start=start,
        healthy=lambda address: _accepts(embedded_url(settings, address)),
        standing=standing,
    )


def embedded_url(settings: Settings, address: str) -> str:
    """Return the SQLAlchemy address of the embedded server's `postgres` database at `address`."""
    port = int(address.rpartition(":")[2])
    return EmbeddedPostgres(folder=settings.home / "postgres").url(port, "postgres")


def signing_service(settings: Settings) -> Service:
    """Return how the signing proxy is started; its address is the path of its Unix socket."""
    state = settings.home / "signer"
    group = process_group(settings)

    def start() -> tuple[subprocess.Popen[bytes], str]:
        private_folder(state)
        socket_path = short_socket_folder(state) / "proxy.sock"
        arguments = [
            sys.executable, "-m", "ledger_core.signing.proxy",
            "--socket", str(socket_path), "--state", str(state), "--trust", str(settings.home / "trust.json"),
            "--origin-prefix", settings.origin_prefix, "--archive", settings.archive_address,
        ]  # fmt: skip
        return group.spawn(SIGNING_PROXY, arguments, child_environment(settings, SIGNER_READS)), str(socket_path)

    return Service(name=SIGNING_PROXY, start=start, healthy=_signs)


def open_signer(
    settings: Settings,
    *,
    progress: Callable[[str], None] | None = None,
    on_refused: Callable[[str, SignerRefused], None] | None = None,
) -> SigningClient:
    """Return the client of the proxy that `settings` name, or of the home's own, which is started if need be.

    Raises `ConfigurationError` for an address, certificates or roots that are not there; whether the proxy of an
    address answers is seen by whoever asks it first.
    """
    url = settings.signing.url
    if url is None:
        record = process_group(settings).ensure(signing_service(settings), progress=progress)
        return SigningClient(Path(record.address), on_refused=on_refused)
    trust = settings.home / "trust.json"
    if not trust.exists():
        raise ConfigurationError(
            "there is no trust file, and the proxy of another host makes none here.",
            file=str(trust),
            remedy="Put there the one that the auditors have: docs/runbooks/signing-proxy.md.",
        )
    return SigningClient(url, tls=_certificates(settings), on_refused=on_refused)


def _certificates(settings: Settings) -> TlsFiles:
    given = settings.signing
    if given.ca_file is None or given.cert_file is None or given.key_file is None:
        raise ConfigurationError(
            "COUNTERFOIL_SIGNING__URL names a proxy, which is spoken to by mutual TLS alone.",
            remedy="Set COUNTERFOIL_SIGNING__CA_FILE, ..._CERT_FILE and ..._KEY_FILE.",
        )
    return TlsFiles(
        certificate=given.cert_file.expanduser().absolute(),
        key=given.key_file.expanduser().absolute(),
        authority=given.ca_file.expanduser().absolute(),
    )


def _accepts(url: str) -> bool:
    engine = make_engine(url, role="login", pool_size=1)
    try:
        require_server(engine)
    except DependencyError:
        return False
    finally:
        engine.dispose()
    return True


def _signs(address: str) -> bool:
    if not os.path.exists(address):  # noqa: PTH110 - polled every few milliseconds
        return False
    client = SigningClient(Path(address))
    try:
        client.health()
    except DependencyError:
        return False
    finally:
        client.close()
    return True


def running(group: ProcessGroup, name: str) -> ProcessRecord | None:
    """Return the record of `name` if that process is alive."""
    record = group.find(name)
    return record if record is not None and record.alive else None
