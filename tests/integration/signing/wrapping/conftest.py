"""Keepers that wrap: each of the four back-ends over the real part, behind one handle by which it is turned or lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass

from ledger_core.base.keepers import vault as session
from ledger_core.base.keepers.token import load_library
from ledger_core.base.wrapping.port import Wrapper
from ledger_core.settings import Settings
from ledger_core.settings.rooms import FileKeysSettings
from ledger_core.wrapping import open_backend

RUNBOOK = Path(__file__).parents[4] / "docs" / "runbooks" / "file-keys.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """A back-end: its settings, which `turn` changes so that the next key wraps; `remove` and `exchange` a key."""

    told: dict[str, str]
    turn: Callable[[], dict[str, str]]
    remove: Callable[[], None]
    exchange: Callable[[], None]


class Opened:
    """Back-ends as their settings open them, closed at the end; a process logs in to a token once."""

    def __init__(self, home: Path) -> None:
        self.home, self.wrappers = home, list[Wrapper]()

    def settings(self, told: dict[str, str], env: str = "test") -> Settings:
        return Settings(home_path=self.home, env=env, file_keys=FileKeysSettings.model_validate(told))

    def __call__(self, told: dict[str, str], env: str = "test") -> Any:
        self.close()
        settings = self.settings(told, env)
        wrapper = open_backend(settings, settings.file_keys.backend)
        self.wrappers.append(wrapper)
        return wrapper

    def close(self) -> None:
        while self.wrappers:
            self.wrappers.pop().close()


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    # A machine that does much else is no reason to call a server slow.
    monkeypatch.setattr(session, "TIMEOUT_SECONDS", (10.0, 30.0))
    found = Opened(tmp_path / "home")
    yield found
    found.close()


@pytest.fixture
def file_keeper(opened: Opened) -> Keeper:
    folder = opened.home / "wrapping"

    def turn() -> dict[str, str]:
        opened({"backend": "file"}).rotate()
        return {"backend": "file"}

    def exchange() -> None:
        (folder / "0001.key").write_text("ab" * 32 + "\n")

    return Keeper(told={"backend": "file"}, turn=turn, remove=lambda: (folder / "0001.key").unlink(), exchange=exchange)


@pytest.fixture
def kms_keeper(kms: Any, request: pytest.FixtureRequest) -> Keeper:
    name = f"wraps-{re.sub('[^a-z0-9]', '-', request.node.name.lower())}"

    def make(number: int) -> str:
        return str(kms.make(f"{name}-{number}", "SYMMETRIC_DEFAULT", usage="ENCRYPT_DECRYPT"))

    def told(arn: str) -> dict[str, str]:
        return {"backend": "awskms", "awskms_key": arn, "awskms_endpoint": kms.url}

    arn = make(1)
    return Keeper(
        told=told(arn), turn=lambda: told(make(2)), remove=lambda: kms.keys.pop(arn) and None, exchange=lambda: None
    )


@pytest.fixture(scope="session")
def wrap_policy() -> str:
    """The runbook's own: what operators copy is what is tried."""
    (found,) = re.findall(r"```hcl\n(.*?)```", RUNBOOK.read_text(), flags=re.DOTALL)
    return str(found)


@pytest.fixture(scope="session")
def wrap_role(bao: Any, wrap_policy: str) -> str:
    """A role of the server with the runbook's policy, for every key whose name begins with `raw`."""
    bao.root.sys.create_or_update_policy("raw", wrap_policy.replace('/raw"', '/raw*"'))
    bao.root.auth.approle.create_or_update_approle("raw", token_policies=["raw"], token_ttl="1h", token_max_ttl="3h")
    bao.roles["raw"] = bao.root.auth.approle.read_role_id("raw")["data"]["role_id"]
    return str(bao.roles["raw"])


@pytest.fixture
def vault_told(bao: Any, wrap_role: str, tmp_path: Path) -> Callable[..., dict[str, str]]:
    secret = tmp_path / "wrap-secret-id"
    secret.touch(mode=0o600)
    secret.write_text(bao.secret_id("raw") + "\n")

    def told(key: str, version: int = 1) -> dict[str, str]:
        return {
            "backend": "vault",
            "vault_url": bao.url,
            "vault_key": key,
            "vault_key_version": str(version),
            "vault_role_id": wrap_role,
            "vault_secret_id_file": str(secret),
            "vault_ca_file": str(bao.folder / "ca.pem"),
            "vault_client_cert_file": str(bao.folder / "client.pem"),
            "vault_client_key_file": str(bao.folder / "client.key"),
        }

    return told


@pytest.fixture
def vault_keeper(bao: Any, vault_told: Any, request: pytest.FixtureRequest) -> Keeper:
    name = f"raw-{re.sub('[^a-z0-9]', '-', request.node.name.lower())}".rstrip("-")
    bao.make(name, "aes256-gcm96")

    def turn() -> dict[str, str]:
        bao.root.secrets.transit.rotate_key(name)
        return dict(vault_told(name, 2))

    def exchange() -> None:
        bao.remove(name)
        bao.make(name, "aes256-gcm96")

    return Keeper(told=vault_told(name), turn=turn, remove=lambda: bao.remove(name), exchange=exchange)


def make_secret(token: Any, label: str, key_id: bytes = b"", *, bits: int = 256, **changed: Any) -> None:
    """Make an AES key on the token; `changed` changes its template by attribute name."""
    template = {Attribute[name.upper()]: value for name, value in changed.items()}
    token.work(
        lambda opened: opened.generate_key(
            KeyType.AES, bits, store=True, label=label, id=key_id or label.encode(), template=template,
            capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT, mechanism=Mechanism.AES_KEY_GEN,
        )
    )  # fmt: skip


def destroy_secret(token: Any, label: str) -> None:
    def step(opened: Any) -> None:
        for item in list(opened.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: label})):
            item.destroy()

    token.work(step)


@pytest.fixture
def token_told(soft_token: Any, opened: Opened) -> Iterator[Callable[[str], dict[str, str]]]:
    def told(label: str) -> dict[str, str]:
        return {
            "backend": "pkcs11",
            "pkcs11_module": soft_token.module,
            "pkcs11_token": "counterfoil",
            "pkcs11_key_label": label,
            "pkcs11_pin_file": str(soft_token.pin_file),
        }

    yield told
    opened.close()
    load_library(soft_token.module).finalize()


@pytest.fixture
def token_keeper(soft_token: Any, token_told: Any, opened: Opened, request: pytest.FixtureRequest) -> Keeper:
    label = f"raw {request.node.name}"
    make_secret(soft_token, label)

    def turn() -> dict[str, str]:
        opened.close()
        make_secret(soft_token, f"{label} 2")
        return dict(token_told(f"{label} 2"))

    def remove() -> None:
        opened.close()
        destroy_secret(soft_token, label)

    def exchange() -> None:
        remove()
        make_secret(soft_token, label)

    return Keeper(told=token_told(label), turn=turn, remove=remove, exchange=exchange)


@pytest.fixture(params=["file", "kms", "vault", "token"])
def keeper(request: pytest.FixtureRequest) -> Keeper:
    """Each of the four in turn."""
    found: Keeper = request.getfixturevalue(f"{request.param}_keeper")
    return found
