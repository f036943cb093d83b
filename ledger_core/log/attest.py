"""A verification report with a signature: an auditor's, by a key of its own, or the company's, by its signing proxy.

A DSSE envelope around the report's JSON (docs/formats/report.md). It shows who says what the report says, never that it
is so: whoever must rely on it verifies what it speaks of. An auditor's key is none of the company's, or the company
would vouch for itself in another's name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from ledger_core.errors import ConfigurationError, InvalidInput
from ledger_core.log.dsse import REPORT_TYPE, Envelope, EnvelopeSignature, pae
from ledger_core.log.findings import VerificationReport
from ledger_core.log.note import PublicKey
from ledger_core.log.reading import open_regular

MAX_KEY_BYTES = 16 * 1024


class AuditorKey:
    """A private key, ECDSA P-256 or Ed25519, of whoever verifies."""

    def __init__(self, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> None:
        """Raises `InvalidInput` for another curve."""
        self._key = key
        self.public_key = PublicKey(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def sign(self, message: bytes) -> bytes:
        """Return the signature, which `PublicKey.verify` takes."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(message)
        return self._key.sign(message, ec.ECDSA(hashes.SHA256()))


def read_auditor_key(path: Path) -> AuditorKey:
    """Return the private key in the PEM file. Raises `ConfigurationError`, also for one that others may read."""
    data = _read(path, is_private=True)
    try:
        key = load_pem_private_key(data, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
            raise InvalidInput("it is neither ECDSA P-256 nor Ed25519")
        return AuditorKey(key)
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidInput) as error:
        raise ConfigurationError(
            f"no private key to sign a report with: {error}.",
            file=str(path),
            remedy="Give a PEM file of an ECDSA P-256 or Ed25519 key without a passphrase.",
        ) from error


def read_auditor_public(path: Path) -> PublicKey:
    """Return the public key in the PEM file. Raises `ConfigurationError`."""
    data = _read(path)
    try:
        key = load_pem_public_key(data)
        return PublicKey(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    except (ValueError, UnsupportedAlgorithm, InvalidInput) as error:
        raise ConfigurationError(
            f"no public key in it: {error}.",
            file=str(path),
            remedy="Give what `openssl pkey -pubout` writes of an ECDSA P-256 or Ed25519 key.",
        ) from error


def require_first_hand(report: VerificationReport) -> None:
    """Raise `InvalidInput` for a report on a signed report: signed, it would pass for one on what that speaks of."""
    if report.signed_report is not None:
        raise InvalidInput(
            "what was verified is a signed report: a signature on that attests nothing.",
            remedy="Verify what the report speaks of, and sign that.",
        )


def report_payload(report: VerificationReport, **more: Any) -> bytes:
    """Return what is signed: the report's JSON, and what a company adds (`origin`, `checkpoint`, `key_registry`)."""
    document: Mapping[str, Any] = {**report.as_json(), **more}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")


def attest(report: VerificationReport, key: AuditorKey) -> Envelope:
    """Return the report signed by `key`.

    Raises `ConfigurationError` for a key of the company's that it speaks of, and where nobody can tell because nothing
    was pinned; as `require_first_hand`.
    """
    require_first_hand(report)
    if report.trust is None:
        raise ConfigurationError(
            "a report without a trust file attests nothing.", remedy="Name the trust file with --trust."
        )
    if key.public_key.key_id in report.company_keys:
        raise ConfigurationError(
            f"the key {key.public_key.key_id[:16]} is one of the company that the report speaks of.",
            remedy="Sign with a key of your own: the company signs with `counterfoil verify --sign`.",
        )
    payload = report_payload(report)
    signature = key.sign(pae(REPORT_TYPE, payload))
    return Envelope(REPORT_TYPE, payload, (EnvelopeSignature(key.public_key.key_id, signature),))


def _read(path: Path, *, is_private: bool = False) -> bytes:
    try:
        with open_regular(path) as file:
            mode, data = os.fstat(file.fileno()).st_mode, file.read(MAX_KEY_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"the key cannot be read: {error.strerror}.", file=str(path), remedy="Name a key file."
        ) from error
    if is_private and mode & 0o077:
        raise ConfigurationError(f"the key file has mode {mode & 0o777:04o}.", file=str(path), remedy="chmod 600 it.")
    if len(data) > MAX_KEY_BYTES:
        raise ConfigurationError(
            f"it has more than {MAX_KEY_BYTES:,} bytes, and no key has.", file=str(path), remedy="Name a key file."
        )
    return data
