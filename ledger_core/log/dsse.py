"""DSSE envelopes: a signature over bytes and their type, with no canonical form to agree on.

The signed message is `PAE(type, payload)` of the DSSE specification v1. Read the payload only from an
envelope whose signatures were verified, and from its bytes. `keyid` is a hint, never evidence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ledger_core.errors import InvalidInput
from ledger_core.log.note import PublicKey, decode_base64, encode_base64
from ledger_core.log.reading import load_json

SEGMENT_TYPE = "application/vnd.counterfoil.segment.v1+json"
PROOF_TYPE = "application/vnd.counterfoil.proof.v1+json"
KEYS_TYPE = "application/vnd.counterfoil.keys.v1+json"
COMPROMISE_TYPE = "application/vnd.counterfoil.key-compromise.v1+json"
REPORT_TYPE = "application/vnd.counterfoil.verification-report.v1+json"

MAX_ENVELOPE_BYTES = 64 * 1024 * 1024
MAX_SIGNATURES = 100
MAX_VALUES = 1_000
"""Values in the JSON of an envelope: a hundred signatures have some four hundred, and base64 holds no mark of JSON."""


@dataclass(frozen=True, slots=True)
class EnvelopeSignature:
    """One signature, and the id of the key that claims it."""

    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A typed payload with signatures; nothing is verified yet."""

    payload_type: str
    payload: bytes
    signatures: tuple[EnvelopeSignature, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the envelope in the JSON form of the DSSE specification."""
        return {
            "payload": encode_base64(self.payload),
            "payloadType": self.payload_type,
            "signatures": [{"keyid": item.key_id, "sig": encode_base64(item.signature)} for item in self.signatures],
        }

    def to_bytes(self) -> bytes:
        """Return the JSON form as one ASCII line, newline excluded."""
        return json.dumps(self.as_json(), separators=(",", ":")).encode("ascii")


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding that is signed (DSSE v1, `protocol.md`)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def parse_envelope(data: bytes | str | dict[str, Any]) -> Envelope:
    """Return the envelope in `data` (bytes, text, or JSON already parsed), unverified.

    Raises `InvalidInput` for any other shape.
    """
    value: Any = data
    if not isinstance(data, dict):
        if len(data) > MAX_ENVELOPE_BYTES:
            raise InvalidInput(f"an envelope has at most {MAX_ENVELOPE_BYTES} bytes.", remedy=_REMEDY)
        try:
            value = load_json(data, max_values=MAX_VALUES)
        except ValueError as error:
            raise InvalidInput(f"the envelope is not JSON: {error}.", remedy=_REMEDY) from error
    if not isinstance(value, dict):
        raise InvalidInput("an envelope is a JSON object.", remedy=_REMEDY)
    kind, payload, signatures = value.get("payloadType"), value.get("payload"), value.get("signatures")
    if not isinstance(kind, str) or not kind.isascii() or not isinstance(payload, str):
        raise InvalidInput("an envelope has payloadType and payload.", remedy=_REMEDY)
    if not isinstance(signatures, list) or not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise InvalidInput(f"an envelope has 1 to {MAX_SIGNATURES} signatures.", remedy=_REMEDY)
    return Envelope(kind, decode_base64(payload), tuple(_parse_signature(item) for item in signatures))


def verify_envelope(envelope: Envelope, keys: Iterable[PublicKey]) -> list[str]:
    """Return the ids of those of `keys` that signed `envelope`; a key counts once, whatever `keyid` says."""
    message = pae(envelope.payload_type, envelope.payload)
    return [key.key_id for key in keys if any(key.verify(message, item.signature) for item in envelope.signatures)]


_REMEDY = "See https://github.com/secure-systems-lab/dsse, and docs/formats/segment.md."


def _parse_signature(item: Any) -> EnvelopeSignature:
    if not isinstance(item, dict) or not isinstance(item.get("sig"), str):
        raise InvalidInput("a signature of an envelope has sig.", remedy=_REMEDY)
    key_id = item.get("keyid", "")
    if not isinstance(key_id, str):
        raise InvalidInput("keyid is text.", remedy=_REMEDY)
    return EnvelopeSignature(key_id, decode_base64(item["sig"]))
