"""The back-end that keeps an ECDSA P-256 key in a file: what the embedded default signs with, and no more.

Whoever can read the file can sign. It is called `software` in every registry, proof and report, and a process that
runs with `COUNTERFOIL_ENV=production` refuses it before it looks at any file.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from ledger_core.base.files import write_once
from ledger_core.errors import ConfigurationError
from ledger_core.log.note import PublicKey
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.custody import refuse_software
from ledger_core.signing.folder import KEY_FILE, KEYS_FILE, LAST_USE_FILE

NAME = "software"


class SoftwareKey:
    """An ECDSA P-256 key held in this process."""

    name = NAME
    assurance = "software"

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self._public_key = PublicKey(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Return the DER signature over SHA-256 of `message`."""
        return self._key.sign(message, ec.ECDSA(hashes.SHA256()))


def check_settings(settings: SignerSettings) -> None:
    """Raise `ConfigurationError` in production."""
    refuse_in_production(settings.env)


def open_key(settings: SignerSettings, folder: Path) -> SoftwareKey:
    """Return the key in `folder`, making it at the first start. Raises `ConfigurationError`."""
    del settings
    path = folder / KEY_FILE
    if not path.exists() and any((folder / name).exists() for name in (KEYS_FILE, LAST_USE_FILE)):
        raise ConfigurationError(
            "the signing key is gone, and was used before.",
            file=str(path),
            remedy="Restore the signer's folder as a whole; another key cannot go on with this one's state.",
        )
    return load_or_create(path)


def refuse_in_production(env: str) -> None:
    """Raise `ConfigurationError` where a key in a file is no protection at all."""
    refuse_software(env, "the software signing back-end")


def load_or_create(path: Path) -> SoftwareKey:
    """Return the key at `path`, making it (mode 0600, written whole or not at all) when there is none.

    Raises `ConfigurationError` for a file that others may read, or that holds no P-256 key.
    """
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        write_once(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)
    return load(path)


def load(path: Path) -> SoftwareKey:
    """Return the key at `path`. Raises as `load_or_create` does."""
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if mode & 0o077:
            raise ConfigurationError(
                f"the key file has mode {mode & 0o777:04o}.",
                file=str(path),
                remedy="chmod 600 it, then rotate the key.",
            )
        data = file.read()
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"no private key in it: {error}.", file=str(path), remedy="Restore it.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigurationError("not an ECDSA P-256 key.", file=str(path), remedy="Restore the right file.")
    return SoftwareKey(key)
