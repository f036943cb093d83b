"""The back-end whose key-encryption key lies in the transit engine of HashiCorp Vault or OpenBao.

One version of the key wraps, the one of the settings; whatever wrapped before is opened by the name and version that
it carries. The context is the cipher's associated data. How the server is reached is `base.keepers.vault`'s. Invariant:
the key can be neither exported nor backed up in plain, asked at the start and at each log-in.
Source: the API page of transit (Encrypt data, Decrypt data), which both servers share.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from ledger_core.base.keepers.custody import Patience
from ledger_core.base.keepers.transit import refuse_unfit
from ledger_core.base.keepers.vault import VaultPlace, VaultSession
from ledger_core.base.wrapping.custody import WRAPPING, made_there, not_opened
from ledger_core.base.wrapping.port import Context, KeyName, Wrapped, bound
from ledger_core.errors import ConfigurationError, DependencyError, IntegrityError

NAME = "vault"
TYPES = ("aes256-gcm96", "chacha20-poly1305")
"""Types of keys that bind associated data and have 256 bits."""

_SEGMENT = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_PATH = re.compile(rf"(?P<mount>{_SEGMENT}(?:/{_SEGMENT})*)/(?P<key>{_SEGMENT})")
_CIPHERTEXT = re.compile(r"vault:v(?P<version>[1-9][0-9]{0,8}):[A-Za-z0-9+/]+={0,2}")
_SAID = (
    ("sealed", "sealed"),
    ("message authentication failed", "wrong_context"),
    ("invalid ciphertext length", "wrong_context"),
    ("too old", "disabled"),
    ("less than the minimum", "disabled"),
    ("too new", "not_found"),
    ("higher than the latest", "not_found"),
    ("no such key version", "not_found"),
    ("not found", "not_found"),
)
"""What both servers say, in no page of theirs, and the reason that it is."""


class TransitWrapper:
    """One version of a transit key, and older ones by the names that they wrapped under. Safe for threads."""

    name = NAME

    def __init__(self, place: VaultPlace, *, mount: str, key: str, version: int, patience: Patience) -> None:
        self._mount, self._key, self._version = mount, key, version
        self._keeper = f"Vault {place.url} {mount}/{key} v{version}"
        self._vault = VaultSession(
            place, WRAPPING, keeper=self._keeper, patience=patience, look=self._look, reason_of=reason_of
        )

    @property
    def current(self) -> KeyName:
        """The key and the version of the settings."""
        return KeyName(backend=NAME, key=f"{self._mount}/{self._key}", version=str(self._version))

    def wrap(self, key: bytes, context: Context) -> Wrapped:
        """Return `key` encrypted by the server. Raises `DependencyError`; `IntegrityError` for another version's."""

        def ask(client: Any) -> str:
            answer = client.secrets.transit.encrypt_data(
                self._key, plaintext=_base64(key), key_version=self._version,
                associated_data=_base64(bound(context)), mount_point=self._mount,
            )  # fmt: skip
            return str(answer["data"]["ciphertext"])

        text = self._vault.ask(ask)
        found = _CIPHERTEXT.fullmatch(text)
        if found is None or int(found["version"]) != self._version:
            raise IntegrityError(
                f"{self._keeper}: another version answered, or none: {text[:12]!r}; it was thrown away.",
                remedy="What answers is not what was asked: look at the server before anything else lands.",
            )
        return Wrapped(by=self.current, data=text.encode())

    def unwrap(self, wrapped: Wrapped, context: Context) -> bytes:
        """Return the key that the server decrypts. Raises `KeyNotOpened`, `DependencyError`."""
        keeper, place = f"Vault {wrapped.by.key} v{wrapped.by.version}", _PATH.fullmatch(wrapped.by.key)
        text = wrapped.data.decode("ascii", errors="replace")
        found = _CIPHERTEXT.fullmatch(text)
        if place is None or found is None or found["version"] != wrapped.by.version:
            raise not_opened(keeper, "its form is not that of this back-end")

        def ask(client: Any) -> bytes:
            answer = client.secrets.transit.decrypt_data(
                place["key"], ciphertext=text, associated_data=_base64(bound(context)), mount_point=place["mount"]
            )
            return base64.b64decode(answer["data"]["plaintext"], validate=True)

        try:
            return self._vault.ask(ask)
        except DependencyError as error:
            if error.context["reason"] == "wrong_context":
                raise not_opened(keeper, error.__cause__) from error
            raise

    def rotate(self) -> KeyName:
        """Refuse: it is done in the server."""
        raise made_there(self._keeper)

    def close(self) -> None:
        """Let go of the connection; the token ends by itself."""
        self._vault.client.adapter.close()

    def _look(self, vault: VaultSession) -> None:
        def ask() -> Mapping[str, Any]:
            answer: Mapping[str, Any] = vault.client.secrets.transit.read_key(self._key, mount_point=self._mount)
            return answer

        found = vault.named(ask)["data"]
        refuse_unfit(found, self._keeper)
        if found.get("type") not in TYPES:
            raise ConfigurationError(
                f"{self._keeper} is of type {found.get('type')}.", remedy=f"Use {' or '.join(TYPES)}."
            )
        versions = found.get("keys") or {}
        if str(self._version) not in versions:
            raise WRAPPING.unavailable("not_found", self._keeper, f"its versions are {', '.join(versions) or 'none'}")


def check_name(mount: str, key: str) -> None:
    """Raise `ConfigurationError` for what names no key of a transit engine."""
    if _PATH.fullmatch(f"{mount}/{key}") is None or "/" in key:
        raise ConfigurationError(
            f"{mount!r:.60} and {key!r:.60} name no key of a transit engine.", remedy="Write them as transit and raw."
        )


def reason_of(said: str, otherwise: str = "wrong_key") -> str:
    """Return the reason that the text of an error gives, and `otherwise` where it gives none."""
    text = said.lower()
    return next((reason for part, reason in _SAID if part in text), otherwise)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
