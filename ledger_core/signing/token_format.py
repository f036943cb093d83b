"""PKCS#11's forms of elliptic-curve keys and signatures, turned into everybody else's: pure, no token needed.

Sources: PKCS#11 3.1, sections 6.3 (EC_PARAMS, EC_POINT, ECDSA as r || s) and 6.3.5 (EdDSA); RFC 8410.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger_core.errors import ConfigurationError

P256_PARAMS = bytes.fromhex("06082a8648ce3d030107")
"""The object identifier of prime256v1, in DER."""
ED25519_PARAMS = (bytes.fromhex("130c") + b"edwards25519", bytes.fromhex("06032b6570"))
"""The curve by its name, as PKCS#11 has it, and by RFC 8410's object identifier, as some tokens do."""
P256_SIGNATURE_BYTES = 64

_P256_POINT = b"\x04\x41\x04"
_ED25519_POINTS = (b"\x04\x20", b"\x03\x21\x00", b"")
"""What stands before the 32 bytes: an OCTET STRING, a BIT STRING, nothing; tokens differ."""


def spki_of(params: bytes, point: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of a public key with these attributes. Raises `ConfigurationError`."""
    try:
        if params == P256_PARAMS:
            raw = point[2:] if point.startswith(_P256_POINT) else point
            key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey = ec.EllipticCurvePublicKey.from_encoded_point(
                ec.SECP256R1(), raw
            )
        elif params in ED25519_PARAMS:
            heads = (head for head in _ED25519_POINTS if len(point) == len(head) + 32 and point.startswith(head))
            raw = point[len(next(heads)) :]
            key = ed25519.Ed25519PublicKey.from_public_bytes(raw)
        else:
            raise ConfigurationError(
                f"the token's key is on another curve ({params[:16].hex()}).", remedy="Use ECDSA P-256 or Ed25519."
            )
    except (ValueError, StopIteration) as error:
        raise ConfigurationError(
            "the token's public key is no point of its curve.", remedy="Make the pair anew, on the token."
        ) from error
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def der_of(raw: bytes) -> bytes:
    """Return the DER form of a P-256 signature `r || s`; one of another length is returned as it is, to be refused."""
    if len(raw) != P256_SIGNATURE_BYTES:
        return raw
    half = P256_SIGNATURE_BYTES // 2
    return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
