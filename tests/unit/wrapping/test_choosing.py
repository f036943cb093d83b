"""Which back-end wraps is a setting; another opens what it wrapped before; staging and production take no file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ledger_core.base.wrapping.keyring import KeyWrapping
from ledger_core.base.wrapping.port import MAX_WRAPPED_BYTES, KeyName, Wrapped
from ledger_core.errors import ConfigurationError, IntegrityError
from ledger_core.settings import Settings
from ledger_core.settings.rooms import FileKeysSettings
from ledger_core.wrapping import BACKENDS, open_backend, open_wrapping

CONTEXT = {"file_id": "a"}
VAULT = {
    "vault_url": "https://vault.example", "vault_key": "raw", "vault_key_version": "1", "vault_role_id": "r",
    "vault_secret_id_file": "/s",
}  # fmt: skip
TOKEN = {"pkcs11_module": "/lib/x.so", "pkcs11_token": "t", "pkcs11_pin_file": "/pin", "pkcs11_key_label": "k"}


def settings(home: Path, backend: str = "file", env: str = "test", **told: str) -> Settings:
    return Settings(home_path=home, env=env, file_keys=FileKeysSettings.model_validate({"backend": backend, **told}))


class Recorded:
    """A back-end that says what was asked of it."""

    def __init__(self, name: str, asked: list[str], data: bytes = b"x") -> None:
        self.current = KeyName(backend=name, key="k", version="1")
        self.asked, self.data = asked, data

    def wrap(self, key: bytes, context: object) -> Wrapped:
        self.asked.append(f"{self.current.backend} wraps")
        return Wrapped(by=self.current, data=self.data)

    def unwrap(self, wrapped: Wrapped, context: object) -> bytes:
        self.asked.append(f"{self.current.backend} opens")
        return b"k"

    def rotate(self) -> KeyName:
        return self.current

    def close(self) -> None:
        self.asked.append(f"{self.current.backend} closed")


def test_each_opens_what_it_wrapped_and_is_opened_when_it_is_needed() -> None:
    asked: list[str] = []
    opened: list[str] = []

    def open_one(name: str) -> Recorded:
        opened.append(name)
        return Recorded(name, asked)

    wrapping = KeyWrapping("vault", open_one)
    assert opened == []
    wrapped = wrapping.wrap(b"k", CONTEXT)
    wrapping.unwrap(wrapped, CONTEXT)
    wrapping.unwrap(Wrapped(by=KeyName(backend="file", key="k", version="1"), data=b"x"), CONTEXT)
    wrapping.close()
    assert opened == ["vault", "file"]
    assert asked == ["vault wraps", "vault opens", "file opens", "vault closed", "file closed"]


@pytest.mark.parametrize("data", [b"", b"x" * (MAX_WRAPPED_BYTES + 1)])
def test_what_is_no_wrapped_key_is_thrown_away(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="are no wrapped key"):
        KeyWrapping("vault", lambda name: Recorded(name, [], data)).wrap(b"k", CONTEXT)


@pytest.mark.parametrize("env", ["staging", "production"])
def test_production_uses_no_key_in_a_file_neither_to_wrap_nor_to_open(tmp_path: Path, env: str) -> None:
    wrapped = open_wrapping(settings(tmp_path)).wrap(b"k" * 32, CONTEXT)
    strict = open_wrapping(settings(tmp_path, "vault", env, **VAULT))
    with pytest.raises(ConfigurationError, match=f"COUNTERFOIL_ENV={env} refuses .*file-keys rewrap"):
        strict.unwrap(wrapped, CONTEXT)
    with pytest.raises(ConfigurationError, match="COUNTERFOIL_FILE_KEYS__BACKEND"):
        open_wrapping(settings(tmp_path, env=env)).wrap(b"k" * 32, CONTEXT)


def test_a_back_end_of_another_release_is_named(tmp_path: Path) -> None:
    wrapped = Wrapped(by=KeyName(backend="typewriter", key="k", version="1"), data=b"x")
    with pytest.raises(ConfigurationError, match="no back-end 'typewriter'"):
        open_wrapping(settings(tmp_path)).unwrap(wrapped, CONTEXT)


@pytest.mark.parametrize(
    ("backend", "told", "said"),
    [
        ("vault", {**VAULT, "vault_key": ""}, "COUNTERFOIL_FILE_KEYS__VAULT_KEY"),
        ("vault", {**VAULT, "vault_url": "http://vault.example"}, "without TLS"),
        ("vault", {**VAULT, "vault_key_version": "latest"}, "is no number"),
        ("vault", {**VAULT, "vault_key": "../sys"}, "name no key"),
        ("vault", {**VAULT, "vault_key": "a/b"}, "name no key"),
        ("vault", {**VAULT, "vault_mount": "a/../b"}, "name no key"),
        ("vault", {**VAULT, "vault_ca_file": "/nowhere/ca.pem"}, "no such file"),
        ("vault", {**VAULT, "vault_client_cert_file": "/c"}, "one half is set"),
        ("vault", VAULT, "no secret id"),
        ("awskms", {}, "COUNTERFOIL_FILE_KEYS__AWSKMS_KEY"),
        ("awskms", {"awskms_key": "alias/raw"}, "not the ARN"),
        ("pkcs11", {**TOKEN, "pkcs11_key_label": ""}, "PKCS11_KEY_LABEL, COUNTERFOIL_FILE_KEYS__PKCS11_KEY_ID"),
        ("pkcs11", {**TOKEN, "pkcs11_module": "x.so"}, "whole path"),
        ("pkcs11", {**TOKEN, "pkcs11_key_id": "0x1"}, "not hex"),
        ("pkcs11", TOKEN, "no library of the token"),
    ],
)
def test_settings_that_cannot_be_are_named(tmp_path: Path, backend: str, told: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        open_backend(settings(tmp_path, backend, **told), backend)


@pytest.mark.parametrize(("backend", "library"), [("vault", "hvac"), ("awskms", "boto3"), ("pkcs11", "pkcs11")])
def test_a_back_end_whose_library_is_not_installed_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, library: str
) -> None:
    for module in [
        name for name in sys.modules if name.startswith(("ledger_core.base.keepers", "ledger_core.base.wrapp"))
    ]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigurationError, match=rf"needs {library}.*counterfoil\[{backend}\]"):
        open_backend(settings(tmp_path, backend), backend)
    assert set(BACKENDS) == {"file", "pkcs11", "awskms", "vault"}
