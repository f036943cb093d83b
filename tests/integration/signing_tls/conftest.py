"""A certificate authority that lives as long as a test, and the signing proxy as a process behind mutual TLS."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ledger_core.signing.client import SigningClient
from ledger_core.signing.tls import TlsFiles

PREFIX = "ledger.example/test/"
FOLDER = Path(__file__).parents[3]
_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
)  # fmt: skip


class Authority:
    """A certificate authority that lives as long as a test."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._begun(self._name, self._key, timedelta(days=1))
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        made = made.add_extension(_SIGNS_CERTIFICATES, critical=True)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        *names: x509.GeneralName,
        stem: str,
        lasts: timedelta = timedelta(hours=1),
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
        authority: Path | None = None,
    ) -> TlsFiles:
        """Return a certificate of `names`, its key, and the authority to expect of the other end."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._begun(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, stem)]), key, lasts)
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        made = made.add_extension(own, critical=False)
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate, private = self._folder / f"{stem}.pem", self._folder / f"{stem}.key"
        certificate.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        private.touch(0o600)
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return TlsFiles(certificate=certificate, key=private, authority=authority or self.path)

    def _begun(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, lasts: timedelta) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder(subject_name=subject, issuer_name=self._name, public_key=key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=2))
            .not_valid_after(now + lasts)
        )


def uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


class Proxy:
    """A proxy process on a port, and the authority of its clients."""

    def __init__(
        self, folder: Path, clients: Mapping[str, Any], *, prefix: str = PREFIX, archive: Path | None = None
    ) -> None:
        self.folder = folder
        self._prefix, self._archive = prefix, archive
        self.authority = Authority(folder, "authority")
        self._certificate = self.authority.issue(
            x509.DNSName("localhost"), stem="proxy", usage=ExtendedKeyUsageOID.SERVER_AUTH
        )
        state = folder / "signer"
        state.mkdir(mode=0o700)
        (state / "clients.json").write_text(json.dumps({"clients": clients}))
        (state / "clients.json").chmod(0o600)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"https://localhost:{self.port}"
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Proxy:
        files = self._certificate
        words = [
            "--listen", f"127.0.0.1:{self.port}", "--tls-cert", files.certificate, "--tls-key", files.key,
            "--client-ca", files.authority, "--state", self.folder / "signer", "--trust", self.folder / "trust.json",
            "--origin-prefix", self._prefix,
            *(() if self._archive is None else ("--archive", self._archive)),
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ledger_core.signing.proxy", *map(str, words)],
                stderr=log, cwd=FOLDER, env={**os.environ, "COUNTERFOIL_ENV": "test"},
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError("the proxy did not come up")

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(30)

    def client(self, files: TlsFiles, **more: Any) -> SigningClient:
        return SigningClient(self.url, tls=files, **more)
