"""Other people's code, asked whether it takes what we sign: `openssl`, sigstore's Python client, securesystemslib.

Thin on purpose: nothing here hashes, parses or verifies by itself. Each function says yes or no in the words of its
library, and raises nothing that the library means as a no.
"""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from securesystemslib.dsse import Envelope as SecureEnvelope
from securesystemslib.exceptions import VerificationError as SecureError
from securesystemslib.signer import SSlibKey
from sigstore import dsse
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore._internal.rekor.checkpoint import SignedCheckpoint, verify_checkpoint
from sigstore._internal.trust import Keyring, RekorKeyring
from sigstore._utils import KeyID
from sigstore.errors import VerificationError
from sigstore.models import TransparencyLogEntry
from sigstore_models.common.v1 import LogId, PublicKey, PublicKeyDetails
from sigstore_models.rekor.v1 import Checkpoint, InclusionProof, KindVersion
from sigstore_models.rekor.v1 import TransparencyLogEntry as Inner


def openssl_takes(folder: Path, spki: bytes, message: bytes, signature: bytes) -> bool:
    """`openssl`, as an auditor with nothing else would use it: ECDSA by `dgst`, Ed25519 by `pkeyutl`."""
    for name, data in (("key.der", spki), ("message", message), ("signature", signature)):
        (folder / name).write_bytes(data)
    is_ecdsa = isinstance(load_der_public_key(spki), ec.EllipticCurvePublicKey)
    ecdsa = ["dgst", "-sha256", "-verify", "key.der", "-keyform", "DER", "-signature", "signature", "message"]
    ed25519 = [
        "pkeyutl", "-verify", "-pubin", "-inkey", "key.der", "-keyform", "DER", "-rawin", "-in", "message",
        "-sigfile", "signature",
    ]  # fmt: skip
    command = ["openssl", *(ecdsa if is_ecdsa else ed25519)]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False)
    return done.returncode == 0


def keyring_of(spki: bytes) -> RekorKeyring:
    """The key as sigstore's trusted root would carry it."""
    is_ecdsa = isinstance(load_der_public_key(spki), ec.EllipticCurvePublicKey)
    details = PublicKeyDetails.PKIX_ECDSA_P256_SHA_256 if is_ecdsa else PublicKeyDetails.PKIX_ED25519
    return RekorKeyring(Keyring([PublicKey(raw_bytes=base64.b64encode(spki), key_details=details)]))


def sigstore_reads(note: str) -> tuple[str, int, str]:
    """Origin, size and root in hex, as sigstore reads the checkpoint."""
    found = SignedCheckpoint.from_text(note).checkpoint
    assert found.other_content == []
    return found.origin, found.log_size, found.log_hash


def sigstore_takes_note(note: str, spki: bytes, key_id: str) -> bool:
    """Sigstore's check of a checkpoint's signature."""
    try:
        SignedCheckpoint.from_text(note).signed_note.verify(keyring_of(spki), KeyID(bytes.fromhex(key_id)))
    except (VerificationError, ValueError):
        return False
    return True


def sigstore_takes_proof(note: str, spki: bytes, key_id: str, record: bytes, seq: int, path: list[bytes]) -> bool:
    """Sigstore's checks of a log entry: that its path leads to the root, and that the checkpoint signs that root."""
    _, size, root = sigstore_reads(note)
    try:
        inner = Inner(
            log_index=str(seq),
            log_id=LogId(key_id=base64.b64encode(bytes.fromhex(key_id))),
            kind_version=KindVersion(kind="record", version="1"),
            inclusion_proof=InclusionProof(
                log_index=str(seq),
                root_hash=base64.b64encode(bytes.fromhex(root)),
                tree_size=str(size),
                hashes=[base64.b64encode(item) for item in path],
                checkpoint=Checkpoint(envelope=note),
            ),
            canonicalized_body=base64.b64encode(record),
        )
        found = TransparencyLogEntry(inner)
        verify_merkle_inclusion(found)
        verify_checkpoint(keyring_of(spki), found)
    except (VerificationError, ValueError):
        return False
    return True


def sigstore_takes_envelope(envelope: dict[str, object], spki: bytes) -> bytes | None:
    """The payload of a DSSE envelope that sigstore verified, or nothing."""
    key = load_der_public_key(spki)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    try:
        return dsse._verify(key, dsse.Envelope._from_json(json.dumps(envelope)))
    except (VerificationError, ValueError, InvalidSignature):
        return None


def securesystemslib_takes_envelope(envelope: dict[str, object], spki: bytes, key_id: str) -> bytes | None:
    """The payload of a DSSE envelope that securesystemslib verified, or nothing."""
    key = SSlibKey.from_crypto(load_der_public_key(spki), keyid=key_id)
    try:
        found = SecureEnvelope.from_dict(json.loads(json.dumps(envelope)))
        found.verify([key], 1)
    except (SecureError, ValueError):
        return None
    return bytes(found.payload)
