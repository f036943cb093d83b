"""What the transit engine of Vault and OpenBao answers, read: pure, no server needed.

Sources: the API pages of transit (Read key, Sign data), and the texts of both servers' errors, which are the same and
stand in no page: nothing else tells a sealed server, or a version that may sign no more.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from ledger_core.base.keepers.transit import refuse_unfit
from ledger_core.errors import ConfigurationError, IntegrityError
from ledger_core.log.note import PublicKey
from ledger_core.signing.custody import read_public, unavailable

P256, ED25519 = "ecdsa-p256", "ed25519"
"""The types of keys that the log knows, as transit calls them."""
_SIGNATURE = re.compile(r"vault:v([1-9][0-9]{0,8}):([A-Za-z0-9+/]+={0,2})\Z")


def public_key_of(found: Mapping[str, Any], version: int, keeper: str) -> PublicKey:
    """Return the public half of `version` of the key that was read.

    Raises `ConfigurationError` for a key that can leave the server or is of another type, `DependencyError` for a
    version that is not there.
    """
    refuse_unfit(found, keeper)
    if found.get("type") not in (P256, ED25519):
        raise ConfigurationError(f"{keeper} is of type {found.get('type')}.", remedy=f"Use {P256} or {ED25519}.")
    versions = found.get("keys") or {}
    if str(version) not in versions:
        raise unavailable("not_found", keeper, f"its versions are {', '.join(versions) or 'none'}")
    try:
        text = str(versions[str(version)]["public_key"])
        if found["type"] == ED25519:
            key: Any = ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
        else:
            key = load_pem_public_key(text.encode())
    except (KeyError, TypeError, ValueError) as error:
        raise unavailable("failing", keeper, f"no public key is shown: {error}") from error
    return read_public(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), keeper)


def signature_of(item: Mapping[str, Any], version: int, keeper: str) -> bytes:
    """Return the signature in the one item of a batch. Raises `DependencyError` for its error, `IntegrityError` for
    another version's signature."""
    if "error" in item:
        raise unavailable(reason_of(str(item["error"])), keeper, item["error"])
    form = _SIGNATURE.match(str(item.get("signature")))
    if form is None or int(form[1]) != version:
        raise IntegrityError(
            f"{keeper}: another version answered, or none: {str(item.get('signature'))[:12]!r}.",
            remedy="Stop the proxy: what answers is not what was asked.",
        )
    try:
        return base64.b64decode(form[2], validate=True)
    except ValueError:
        return b""  # which no key verifies


def reason_of(said: str, otherwise: str = "wrong_key") -> str:
    """Return the reason that the text of an error gives, and `otherwise` where it gives none."""
    text = said.lower()
    if "sealed" in text:
        return "sealed"
    if "version for signing" in text:
        return "disabled"
    return "not_found" if "not found" in text else otherwise
