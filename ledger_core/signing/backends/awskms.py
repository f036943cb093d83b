"""The back-end whose key lies in AWS KMS: ECDSA P-256 by its hash, Ed25519 by the whole message.

How KMS is reached is `base.keepers.kms`'s. Invariant: the key was made in KMS and cannot be had outside it.
Source: AWS KMS API reference, Sign, GetPublicKey, DescribeKey.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger_core.base.keepers.custody import Patience
from ledger_core.base.keepers.kms import MADE_INSIDE, KmsClient, check_arn, make_client
from ledger_core.errors import ConfigurationError
from ledger_core.log.note import ECDSA_P256, PublicKey
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.custody import SIGNING, checked, probed, read_public, unavailable

NAME = "awskms"

MAX_RAW_BYTES = 4096
"""The most that Sign takes as a message; a hash always fits."""
_SPECS = ("ECC_NIST_P256", "ECC_NIST_EDWARDS25519")


class KmsKey:
    """A key in KMS and the one client that reaches it. Safe for threads."""

    name = NAME
    assurance = "kms"

    def __init__(self, arn: str, make: Callable[[], Any], patience: Patience) -> None:
        self._kms = KmsClient(arn, make, patience, SIGNING)
        self._keeper = self._kms.keeper
        self._refuse_unfit(self._kms.call("describe_key", "KeyMetadata"))
        self._public_key = read_public(self._kms.call("get_public_key", "PublicKey"), self._keeper)

    @property
    def public_key(self) -> PublicKey:
        """The public half, read once at the start."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message` (ECDSA: DER). Raises `DependencyError` that names its reason,
        `IntegrityError` where another key signed, or something else than `message`."""
        if self._public_key.algorithm == ECDSA_P256:
            asked = {"Message": sha256(message).digest(), "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}
        elif len(message) > MAX_RAW_BYTES:
            raise unavailable("too_long", self._keeper, f"{len(message)} bytes, an Ed25519 key signs {MAX_RAW_BYTES}")
        else:
            asked = {"Message": message, "MessageType": "RAW", "SigningAlgorithm": "ED25519_SHA_512"}
        signature: bytes = self._kms.call("sign", "Signature", **asked)
        return checked(self._public_key, message, signature, self._keeper)

    def _refuse_unfit(self, found: Mapping[str, Any]) -> None:
        if found.get("KeyState") != "Enabled":
            raise unavailable("disabled", self._keeper, f"its state is {found.get('KeyState')}")
        if found.get("KeyUsage") != "SIGN_VERIFY" or found.get("KeySpec") not in _SPECS:
            raise ConfigurationError(
                f"{self._keeper} is for {found.get('KeyUsage')}, of kind {found.get('KeySpec')}.",
                remedy=f"Name a key for SIGN_VERIFY of kind {' or '.join(_SPECS)}.",
            )
        if found.get("Origin") not in MADE_INSIDE:
            raise ConfigurationError(
                f"{self._keeper} was brought to KMS ({found.get('Origin')}), and so can be elsewhere too.",
                remedy="Have KMS make a key, and rotate to it.",
            )


def check_settings(settings: SignerSettings) -> None:
    """Raise `ConfigurationError` where the key is not named by its ARN."""
    settings.need("awskms_key")
    check_arn(settings.awskms_key)


def open_key(settings: SignerSettings, folder: Path, *, patience: Patience | None = None) -> KmsKey:
    """Return the key in KMS; nothing of it lies in `folder`. Raises `ConfigurationError`, `DependencyError`."""
    del folder
    arn, endpoint = settings.awskms_key, settings.awskms_endpoint
    return probed(KmsKey(arn, lambda: make_client(arn, endpoint), patience or Patience()))
