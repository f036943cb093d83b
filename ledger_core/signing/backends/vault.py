"""The back-end whose key lies in the transit engine of HashiCorp Vault or OpenBao.

One version of the key signs, and another only when the registry says so too: a rotation there must not change who
signs here. How the server is reached is `base.keepers.vault`'s; one signature a request. Invariant: the key can be
neither exported nor backed up in plain, asked at the start and at each log-in.
Source: the API page of transit, which both servers share.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger_core.base.keepers.custody import Patience
from ledger_core.base.keepers.vault import VaultPlace, VaultSession, check_version
from ledger_core.log.note import ECDSA_P256, PublicKey
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.custody import SIGNING, checked, probed
from ledger_core.signing.transit_format import public_key_of, reason_of, signature_of

NAME = "vault"


class TransitKey:
    """One version of a transit key. Safe for threads."""

    name = NAME
    assurance = "kms"

    def __init__(self, settings: SignerSettings, patience: Patience) -> None:
        self._settings = settings
        self._version = int(settings.vault_key_version)
        self._keeper = f"Vault {settings.vault_url} {settings.vault_mount}/{settings.vault_key} v{self._version}"
        self._shown: list[PublicKey] = []
        self._vault = VaultSession(
            place_of(settings), SIGNING, keeper=self._keeper, patience=patience, look=self._look, reason_of=reason_of
        )
        (self._public_key,) = self._shown

    @property
    def public_key(self) -> PublicKey:
        """The public half of the pinned version, read at the start."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message` (ECDSA: DER). Raises `DependencyError` that names its reason,
        `IntegrityError` where another key or version signed."""
        asked: dict[str, Any] = {"key_version": self._version, "batch_input": [{"input": _base64(message)}]}
        if self._public_key.algorithm == ECDSA_P256:
            asked["batch_input"] = [{"input": _base64(sha256(message).digest())}]
            asked |= {"prehashed": True, "hash_algorithm": "sha2-256", "marshaling_algorithm": "asn1"}
        found = self._vault.ask(lambda client: self._sign(client, asked))
        return checked(self._public_key, message, signature_of(found, self._version, self._keeper), self._keeper)

    def _sign(self, client: Any, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        settings = self._settings
        answer = client.secrets.transit.sign_data(settings.vault_key, mount_point=settings.vault_mount, **asked)
        (item,) = answer["data"]["batch_results"]
        found: Mapping[str, Any] = item
        return found

    def _look(self, vault: VaultSession) -> None:
        settings = self._settings

        def ask() -> Mapping[str, Any]:
            answer: Mapping[str, Any] = vault.client.secrets.transit.read_key(
                settings.vault_key, mount_point=settings.vault_mount
            )
            return answer

        found = public_key_of(vault.named(ask)["data"], self._version, self._keeper)
        # Of the first log-in: whatever is there later, this is the key that signs.
        self._shown = self._shown or [found]


def check_settings(settings: SignerSettings) -> None:
    """Raise `ConfigurationError` where a setting is missing or none."""
    settings.need("vault_url", "vault_key", "vault_key_version", "vault_mount", "vault_auth_mount")
    settings.need("vault_role_id", "vault_secret_id_file")
    place_of(settings).check()
    check_version(settings.vault_key_version)


def open_key(settings: SignerSettings, folder: Path, *, patience: Patience | None = None) -> TransitKey:
    """Return the key in Vault; nothing of it lies in `folder`. Raises `ConfigurationError`, `DependencyError`."""
    del folder
    place_of(settings).check_files()
    return probed(TransitKey(settings, patience or Patience()))


def place_of(settings: SignerSettings) -> VaultPlace:
    """Return the server that `settings` name."""
    return VaultPlace(
        url=settings.vault_url,
        namespace=settings.vault_namespace,
        auth_mount=settings.vault_auth_mount,
        role_id=settings.vault_role_id,
        secret_id_file=settings.vault_secret_id_file,
        ca_file=settings.vault_ca_file,
        client_cert_file=settings.vault_client_cert_file,
        client_key_file=settings.vault_client_key_file,
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
