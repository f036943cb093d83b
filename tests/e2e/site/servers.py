"""The servers of a production site, real ones, each behind TLS of the test's own authority.

Postgres of the system with client certificates (the embedded one is built without TLS), a Versity gateway with
versions and object lock, and the signing proxy as an operator starts it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ledger_core.base import embedded
from ledger_core.base.processes import free_port
from ledger_core.signing.tls import TlsFiles
from tests.conftest import s3_program
from tests.integration.signing_tls.conftest import Authority

ROOT = Path(__file__).parents[3]
DATABASE_USER = "books"


def server_certificate(authority: Authority, stem: str) -> TlsFiles:
    """Return the certificate of a server on this machine."""
    return authority.issue(x509.DNSName("localhost"), stem=stem, usage=ExtendedKeyUsageOID.SERVER_AUTH)


@contextmanager
def running(words: Sequence[object], log: Path, environment: Mapping[str, str], port: int) -> Iterator[None]:
    """Run a server while this lasts, from the moment on that its port takes connections."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            list(map(str, words)), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=ROOT, env=dict(environment)
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "it does not listen"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def bucket_service(folder: Path, authority: Authority, secret: str) -> Iterator[str]:
    """Run an S3 service over TLS; yield its address. Its owner's key is `archive` with `secret`."""
    program = s3_program()
    for part in ("data", "versions"):
        (folder / part).mkdir(parents=True)
    files, port = server_certificate(authority, "s3"), free_port()
    words = [
        program, "--port", f"127.0.0.1:{port}", "--cert", files.certificate, "--key", files.key,
        "posix", "--versioning-dir", folder / "versions", folder / "data",
    ]  # fmt: skip
    owner = {"PATH": os.defpath, "ROOT_ACCESS_KEY": "archive", "ROOT_SECRET_KEY": secret}
    with running(words, folder / "log", owner, port):
        yield f"https://localhost:{port}"


def postgres_programs() -> Path:
    """Return where the system's newest Postgres is."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    if not found:
        pytest.skip("needs a Postgres with TLS: make setup-full installs it")
    return found[-1].parent


@contextmanager
def database(folder: Path, authority: Authority) -> Iterator[str]:
    """Run the system's Postgres, which takes client certificates and nothing else; yield its address."""
    programs = postgres_programs()
    folder.mkdir(mode=0o700)
    data, port = folder / "data", free_port()
    embedded._prepare_for_nobody(folder)
    user, group = embedded._demotion()
    made = subprocess.run(
        embedded._as_server_user(
            [str(programs / "initdb"), "-D", str(data), "-U", DATABASE_USER, "--auth=reject", "--no-sync",
             "--encoding=UTF8", "--no-locale", "--no-instructions"]
        ),
        user=user, group=group, extra_groups=None if user is None else [], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    server, client = server_certificate(authority, "postgres"), authority.issue(stem=DATABASE_USER)
    for source, name in ((server.certificate, "server.crt"), (server.key, "server.key"), (authority.path, "ca.crt")):
        shutil.copy(source, data / name)
        if user is not None and group is not None:
            os.chown(data / name, user, group)
    (data / "server.key").chmod(0o600)
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 cert\n")
    settings = {
        **embedded.SERVER_SETTINGS, "port": str(port), "listen_addresses": "localhost",
        "unix_socket_directories": "", "ssl": "on", "ssl_cert_file": "server.crt", "ssl_key_file": "server.key",
        "ssl_ca_file": "ca.crt", "ssl_min_protocol_version": "TLSv1.3", "shared_buffers": "128MB",
    }  # fmt: skip
    words = [str(programs / "postgres"), "-D", str(data)]
    for name, value in settings.items():
        words += ["-c", f"{name}={value}"]
    with (folder / "log").open("ab") as log:
        process = embedded._launch(words, log=log)
    address = (
        f"postgresql://{DATABASE_USER}@localhost:{port}/postgres?sslmode=verify-full&sslrootcert={authority.path}"
        f"&sslcert={client.certificate}&sslkey={client.key}"
    )
    try:
        up = embedded._wait_until_ready(process, data, time.monotonic() + 60)
        assert up, (folder / "log").read_text()
        yield address
    finally:
        process.send_signal(2)
        process.wait(30)


class SigningHost:
    """The host of the proxy: its folder, its settings, and the process while it runs."""

    def __init__(
        self, folder: Path, authority: Authority, environment: Mapping[str, str], *, prefix: str, archive: str
    ) -> None:
        folder.mkdir(mode=0o700)
        self.folder, self.environment = folder, dict(environment)
        self.state, self.trust, self.log = folder / "signer", folder / "trust.json", folder / "proxy.log"
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self._prefix, self._archive = prefix, archive
        self._certificate = server_certificate(authority, "proxy")
        self._running = ExitStack()

    def allow(self, clients: Mapping[str, object]) -> None:
        """Write the list of clients."""
        path = self.state / "clients.json"
        path.write_text(json.dumps({"clients": clients}))
        path.chmod(0o600)

    def run(self, module: str, *words: object) -> subprocess.CompletedProcess[str]:
        """Run a command of this host to its end."""
        return subprocess.run(
            [sys.executable, "-m", module, *map(str, words)],
            env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    @property
    def words(self) -> list[object]:
        """How the proxy is started here."""
        files = self._certificate
        return [
            sys.executable, "-m", "ledger_core.signing.proxy", "--listen", f"127.0.0.1:{self.port}",
            "--tls-cert", files.certificate, "--tls-key", files.key, "--client-ca", files.authority,
            "--state", self.state, "--trust", self.trust, "--origin-prefix", self._prefix, "--archive", self._archive,
        ]  # fmt: skip

    def start(self) -> None:
        """Start the proxy."""
        self._running.enter_context(running(self.words, self.log, self.environment, self.port))

    def stop(self) -> None:
        """Stop the proxy, if it runs."""
        self._running.close()
