"""A real OpenBao server on loopback, as an operator runs one: raft storage, TLS, client certificates asked, sealed."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import hvac
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)
from cryptography.x509.oid import NameOID

_CONFIG = """
storage "raft" {{ path = "{folder}/raft" node_id = "one" performance_multiplier = 1 }}
listener "tcp" {{
  address = "127.0.0.1:{port}" cluster_address = "127.0.0.1:{cluster_port}"
  tls_cert_file = "{folder}/server.pem" tls_key_file = "{folder}/server.key"
  tls_client_ca_file = "{folder}/ca.pem" tls_require_and_verify_client_cert = true
}}
api_addr = "https://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{cluster_port}"
disable_mlock = true
log_level = "error"
"""


@dataclass(slots=True, kw_only=True)
class Bao:
    """The server, and the operator's own client of it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    unseal_key: str = ""
    root: Any = None
    roles: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = {"HOME": str(self.folder), "PATH": os.environ["PATH"]}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [_program(), "server", "-config", str(self.folder / "config.hcl")],
                env=environment, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._until(lambda: self.root.sys.is_initialized() in (True, False))

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(timeout=30)

    def unseal(self) -> None:
        self.root.sys.submit_unseal_key(self.unseal_key)
        self._until(lambda: self.root.sys.read_health_status(method="HEAD").status_code == 200)

    def set_up(self, policy: str) -> None:
        """Initialise, unseal, mount; `ledger` is the role with `policy`, `stranger` one that may do nothing."""
        made = self.root.sys.initialize(1, 1)
        self.unseal_key, self.root.token = made["keys"][0], made["root_token"]
        self.unseal()
        self.root.sys.enable_secrets_engine("transit")
        self.root.sys.enable_auth_method("approle")
        self.root.sys.create_or_update_policy("ledger", policy)
        for role, policies in (("ledger", ["ledger"]), ("stranger", ["default"])):
            self.root.auth.approle.create_or_update_approle(
                role, token_policies=policies, token_ttl="1h", token_max_ttl="3h"
            )
            self.roles[role] = self.root.auth.approle.read_role_id(role)["data"]["role_id"]

    def secret_id(self, role: str = "ledger") -> str:
        return str(self.root.auth.approle.generate_secret_id(role)["data"]["secret_id"])

    def make(self, name: str, kind: str = "ecdsa-p256", **told: Any) -> None:
        self.root.secrets.transit.create_key(name, key_type=kind, **told)

    def remove(self, name: str) -> None:
        self.root.secrets.transit.update_key_configuration(name, deletion_allowed=True)
        self.root.secrets.transit.delete_key(name)

    def bring(self, name: str) -> None:
        """Import a key that was made elsewhere, wrapped as the server asks."""
        wrapping = load_pem_public_key(self.root.read("transit/wrapping_key")["data"]["public_key"].encode())
        private = ec.generate_private_key(ec.SECP256R1())
        plain = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        between = os.urandom(32)
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        wrapped = wrapping.encrypt(between, oaep) + aes_key_wrap_with_padding(between, plain)  # type: ignore[union-attr]
        self.root.write_data(
            f"transit/keys/{name}/import",
            data={"ciphertext": base64.b64encode(wrapped).decode(), "type": "ecdsa-p256", "hash_function": "SHA256"},
        )

    def _until(self, there: Any) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                if there():
                    return
            except (requests.exceptions.RequestException, hvac.exceptions.VaultError):
                pass
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.02)


def serve(folder: Path, policy: str) -> Bao:
    """Start a server in `folder`; whoever asked for it stops it."""
    port, cluster_port = _free_port(), _free_port()
    (folder / "raft").mkdir()
    (folder / "config.hcl").write_text(_CONFIG.format(folder=folder, port=port, cluster_port=cluster_port))
    authority = _certificate(folder, "ca", None)
    _certificate(folder, "server", authority)
    _certificate(folder, "client", authority)
    _certificate(folder, "other-ca", None)
    session = requests.Session()
    session.verify, session.cert = str(folder / "ca.pem"), (str(folder / "client.pem"), str(folder / "client.key"))
    session.trust_env = False
    bao = Bao(folder=folder, port=port)
    bao.root = hvac.Client(url=bao.url, token="", session=session, timeout=60)
    bao.start()
    bao.set_up(policy)
    return bao


def _program() -> str:
    beside = Path(sys.executable).with_name("bao")
    return str(beside) if beside.exists() else shutil.which("bao") or "bao"


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _certificate(folder: Path, name: str, authority: Any) -> Any:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = authority or (subject, key)
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(issuer_name=issuer, subject_name=subject, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / f"{name}.key").touch(mode=0o600)
    (folder / f"{name}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return subject, key
