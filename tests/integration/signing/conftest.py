"""Keepers of keys, each the real part where this machine has one: a SoftHSM token, an OpenBao server, a KMS of ours."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from botocore.loaders import Loader
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkcs11 import Attribute, KeyType, Mechanism

from ledger_core.base.keepers.token import load_library
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.backends.pkcs11 import TokenKey, open_key
from ledger_core.signing.port import SigningBackend
from ledger_core.signing.token_format import ED25519_PARAMS, P256_PARAMS

SOFTHSM_PLACES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
PIN = "98765432"


def verifies(spki: bytes, message: bytes, signature: bytes) -> bool:
    """Say so by `cryptography` alone, with nothing of ours between."""
    key = load_der_public_key(spki)
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, message)
    else:
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    return True


@pytest.fixture
def verified() -> Callable[[SigningBackend, bytes], bool]:
    """Have a back-end sign, and hold the signature against its public key outside of it."""
    return lambda backend, message: verifies(backend.public_key.spki, message, backend.sign(message))


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftToken:
    """A token of SoftHSM in a temporary folder."""

    module: str
    folder: Path

    @property
    def pin_file(self) -> Path:
        return self.folder / "pin"

    @property
    def tokens(self) -> Path:
        return self.folder / "tokens"

    def settings(self, label: str, **changed: str) -> SignerSettings:
        told = {
            "env": "test",
            "backend": "pkcs11",
            "pkcs11_module": self.module,
            "pkcs11_token": "counterfoil",
            "pkcs11_key_label": label,
            "pkcs11_pin_file": str(self.pin_file),
        }
        return SignerSettings(**told | changed)

    def work(self, step: Callable[[Any], None]) -> None:
        """Do `step` in a session of its own, and leave the library as a new process finds it."""
        library = load_library(self.module)
        with library.get_token(token_label="counterfoil").open(rw=True, user_pin=PIN) as session:
            step(session)
        library.finalize()

    def make(self, label: str, algorithm: str = "p256", key_id: bytes = b"", **private: Any) -> None:
        """Make a pair; `private` changes the private half's template by attribute name."""
        kind, params, how = {
            "p256": (KeyType.EC, P256_PARAMS, Mechanism.EC_KEY_PAIR_GEN),
            "ed25519": (KeyType.EC_EDWARDS, ED25519_PARAMS[0], Mechanism.EC_EDWARDS_KEY_PAIR_GEN),
        }[algorithm]
        template = {Attribute[name.upper()]: value for name, value in private.items()}

        def step(session: Any) -> None:
            domain = session.create_domain_parameters(kind, {Attribute.EC_PARAMS: params}, local=True)
            domain.generate_keypair(
                mechanism=how, store=True, label=label, id=key_id or label.encode(), private_template=template
            )

        self.work(step)


@pytest.fixture(scope="session")
def soft_token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftToken]:
    """An initialised token, for this process."""
    module = next((place for place in SOFTHSM_PLACES if Path(place).is_file()), None)
    if module is None or shutil.which("softhsm2-util") is None:
        pytest.skip("no SoftHSM here; `make setup-full` installs it")
    folder = tmp_path_factory.mktemp("softhsm")
    token = SoftToken(module=module, folder=folder)
    token.tokens.mkdir()
    conf = folder / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {token.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    token.pin_file.touch(mode=0o600)
    token.pin_file.write_text(f"{PIN}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(conf))
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", "counterfoil", "--so-pin", "12345678", "--pin", PIN],
            check=True,
            capture_output=True,
        )
        yield token


@pytest.fixture
def open_token(soft_token: SoftToken) -> Iterator[Callable[..., TokenKey]]:
    """Open keys of the token by the back-end; each is closed, for a process logs in to a token once."""
    opened: list[TokenKey] = []

    def open_one(label: str, **changed: str) -> TokenKey:
        for before in opened:
            before.close()
        key = open_key(soft_token.settings(label, **changed), Path())
        opened.append(key)
        return key

    yield open_one
    for key in opened:
        key.close()
    soft_token.pin_file.write_text(f"{PIN}\n")
    library = load_library(soft_token.module)
    library.finalize()


def _beside(name: str) -> ModuleType:
    """Load a helper that lies beside this file: tests are no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


kms_server = _beside("kms_server")
bao_server = _beside("bao_server")
RUNBOOK = Path(__file__).parents[3] / "docs" / "runbooks" / "signing-backends.md"


@pytest.fixture(scope="session")
def kms_process() -> Iterator[Any]:
    kms, server = kms_server.serve()
    with pytest.MonkeyPatch.context() as patch:
        # Each client reads 3 MB of models, which are the same every time: half of these tests' time.
        loader = Loader()
        patch.setattr("botocore.session.create_loader", lambda _path=None: loader)
        yield kms
    server.shutdown()
    server.server_close()


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write the credentials that AWS's library finds, and let it find no others."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def write(key: str | None, token: str = "") -> None:
        lines = ["[default]", f"aws_access_key_id = {key}", "aws_secret_access_key = secret"] if key else []
        file.write_text("\n".join([*lines, *([f"aws_session_token = {token}"] if token else [])]))

    write("AKIDEXAMPLE")
    return write


@pytest.fixture
def kms(kms_process: Any, credentials: Callable[..., None]) -> Iterator[Any]:
    """The KMS, sound, and with credentials for it; what was sent must have been of the service's shape."""
    kms_process.asked.clear()
    kms_process.trouble.clear()
    kms_process.faults.clear()
    kms_process.hashes_twice, kms_process.poses_as, kms_process.expired = False, "", "never"
    yield kms_process
    assert kms_process.faults == []


@pytest.fixture
def refusal() -> Any:
    """The class of KMS's errors, to be put into `kms.trouble`."""
    return kms_server.Refusal


@pytest.fixture(scope="session")
def runbook_block() -> Callable[[str], str]:
    """Return the one block of the runbook in a language: what operators copy is what is tried."""

    def block(language: str) -> str:
        (found,) = re.findall(rf"```{language}\n(.*?)```", RUNBOOK.read_text(), flags=re.DOTALL)
        return str(found)

    return block


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory, runbook_block: Callable[[str], str]) -> Iterator[Any]:
    """The server; its role `ledger` has the runbook's policy, for every key whose name begins with `ledger`."""
    policy = runbook_block("hcl").replace('/ledger"', '/ledger*"')
    server = bao_server.serve(tmp_path_factory.mktemp("bao"), policy)
    yield server
    server.stop()
