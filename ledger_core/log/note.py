"""Signed notes and checkpoints, byte for byte as C2SP signed-note and tlog-checkpoint have them.

A note is text, a blank line, and signature lines `— <name> <base64(4-byte key hash || signature)>`. A
checkpoint is a note whose text is origin, size and root. Signature bytes are never an identity here: ECDSA
gives a new nonce each time, and `(r, n - s)` verifies as well as `(r, s)`; two notes say the same thing when
their texts are equal.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from ledger_core.errors import InvalidInput
from ledger_core.log.merkle import HASH_BYTES, MAX_SIZE

ECDSA_P256 = "ecdsa-p256-sha256"
ED25519 = "ed25519"
_ED25519_TYPE = b"\x01"
"""The algorithm in what C2SP signed-note hashes of an Ed25519 key."""

MAX_NOTE_BYTES = 64 * 1024
MAX_SIGNATURES = 100
MAX_SPKI_BYTES = 1_024
"""A P-256 key has 91: what is longer need not be looked at to know that it is neither of ours."""
_KEY_HASH_BYTES = 4

_SIGNATURE_LINE = re.compile(r"— ([^ +\s]+) ([A-Za-z0-9+/]+={0,2})\Z")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")
ORIGIN_PATTERN = re.compile(r"[a-z0-9.-]{1,253}/[a-z]{1,32}/[a-z0-9][a-z0-9_-]{0,62}\Z")
"""`<domain>/<env>/<book>`"""


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: who claims to have signed, the hint at the key, the signature."""

    name: str
    key_hash: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A note's `text` (ending in a newline) and what stands below it; nothing is verified yet."""

    text: str
    signatures: tuple[NoteSignature, ...] = ()

    def __str__(self) -> str:
        return self.text + "\n" + "".join(signature_line(item) for item in self.signatures)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The commitment of a log: its `origin`, its `size` in leaves, its `root`."""

    origin: str
    size: int
    root: bytes


class PublicKey:
    """A public key of one of the two algorithms, read from its SubjectPublicKeyInfo.

    `key_id` is the hex SHA-256 of the SPKI: the key's name in registries and DSSE envelopes.
    """

    __slots__ = ("_key", "algorithm", "key_id", "spki")

    def __init__(self, spki: bytes) -> None:
        if len(spki) > MAX_SPKI_BYTES:
            raise InvalidInput("the key is neither ECDSA P-256 nor Ed25519.", remedy="Use one of these.")
        try:
            key = load_der_public_key(spki)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InvalidInput(f"not a public key: {error}.", remedy="Give the DER SubjectPublicKeyInfo.") from error
        if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
            self.algorithm = ECDSA_P256
        elif isinstance(key, ed25519.Ed25519PublicKey):
            self.algorithm = ED25519
        else:
            raise InvalidInput("the key is neither ECDSA P-256 nor Ed25519.", remedy="Use one of these.")
        if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != spki:
            # The same key in another form would have another id, and count beside itself.
            raise InvalidInput(
                "the public key is not in its one DER form.", remedy="Give an uncompressed point on a named curve."
            )
        self._key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey = key
        self.spki = spki
        self.key_id = sha256(spki).hexdigest()

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Say whether `signature` over `message` verifies (ECDSA: DER, SHA-256; malformed is simply no)."""
        try:
            if isinstance(self._key, ed25519.Ed25519PublicKey):
                self._key.verify(signature, message)
            else:
                self._key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    def note_hash(self, name: str) -> bytes:
        """Return the four bytes that point at this key in a signature line of `name` (C2SP signed-note).

        ECDSA has the first bytes of SHA-256 over the SPKI, as transparency-dev and Rekor do; Ed25519 includes
        the name.
        """
        if self.algorithm == ECDSA_P256:
            return sha256(self.spki).digest()[:_KEY_HASH_BYTES]
        raw = self._key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return sha256(name.encode() + b"\n" + _ED25519_TYPE + raw).digest()[:_KEY_HASH_BYTES]


def parse_note(data: str | bytes) -> SignedNote:
    """Return the parts of a signed note, unverified. Raises `InvalidInput` for anything malformed."""
    text = _note_text(data)
    body, found, below = text.rpartition("\n\n")
    if not found or not below.endswith("\n"):
        raise InvalidInput("a note is text, a blank line and signature lines.", remedy=_REMEDY)
    lines = below[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise InvalidInput(f"more than {MAX_SIGNATURES} signature lines.", remedy=_REMEDY)
    return SignedNote(body + "\n", tuple(_parse_signature(line) for line in lines))


def verify_note(note: SignedNote, name: str, keys: Iterable[PublicKey]) -> list[str]:
    """Return the ids of those of `keys` that signed `note` as `name`, each once, in the order of `keys`.

    A line that claims to be one of `keys` and does not verify spoils the whole note, as Go's `note` has it, so that no
    two readers differ over one: the answer is then empty. Lines of strangers are passed over.
    """
    message = note.text.encode()
    signed: set[str] = set()
    known = [(key, key.note_hash(name)) for key in keys]
    for item in note.signatures:
        claimed = [key for key, key_hash in known if (item.name, item.key_hash) == (name, key_hash)]
        verified = [key.key_id for key in claimed if key.verify(message, item.signature)]
        if claimed and not verified:
            return []
        signed.update(verified)
    return [key.key_id for key, _ in known if key.key_id in signed]


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    """Return the text of a checkpoint (C2SP tlog-checkpoint), without extension lines."""
    return f"{origin}\n{size}\n{encode_base64(root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Return what a checkpoint's text commits to. Raises `InvalidInput` for another form.

    Extension lines are refused: C2SP advises against them, and this log never writes one.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] != "":
        raise InvalidInput("a checkpoint has three lines: origin, size, root.", remedy=_REMEDY)
    origin, size, root = lines[:3]
    if ORIGIN_PATTERN.match(origin) is None:
        raise InvalidInput(f"{origin!r:.80} is not an origin.", remedy="It reads <domain>/<env>/<book>.")
    if _DECIMAL.match(size) is None or int(size) > MAX_SIZE:
        raise InvalidInput(f"{size!r:.40} is not a size.", remedy=_REMEDY)
    return Checkpoint(origin, int(size), decode_hash(root))


def signature_line(item: NoteSignature) -> str:
    """Return the signature as its line, newline included."""
    return f"— {item.name} {encode_base64(item.key_hash + item.signature)}\n"


def encode_base64(data: bytes) -> str:
    """Return RFC 4648 section 4 base64."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Return the bytes of strict base64: no white space, no missing padding, no stray bits. Raises
    `InvalidInput`."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(f"{text!r:.80} is not base64.", remedy=_REMEDY) from error
    if encode_base64(data) != text:
        raise InvalidInput(f"{text!r:.80} is not the one base64 form of its bytes.", remedy=_REMEDY)
    return data


def decode_hash(text: str) -> bytes:
    """Return the 32 bytes of a base64 hash. Raises `InvalidInput`."""
    data = decode_base64(text)
    if len(data) != HASH_BYTES:
        raise InvalidInput(f"{text!r:.80} is not a SHA-256 hash.", remedy=_REMEDY)
    return data


_REMEDY = "See docs/formats/checkpoint.md."


def _note_text(data: str | bytes) -> str:
    try:
        raw, text = (data.encode(), data) if isinstance(data, str) else (data, data.decode("utf-8"))
    except UnicodeError as error:
        raise InvalidInput("a note is UTF-8.", remedy=_REMEDY) from error
    if len(raw) > MAX_NOTE_BYTES:
        raise InvalidInput(f"a note has at most {MAX_NOTE_BYTES} bytes.", remedy=_REMEDY)
    if any(byte < 0x20 and byte != 0x0A for byte in raw):
        raise InvalidInput("a note holds no control character but the newline.", remedy=_REMEDY)
    return text


def _parse_signature(line: str) -> NoteSignature:
    match = _SIGNATURE_LINE.match(line)
    if match is None:
        raise InvalidInput(f"{line!r:.80} is not a signature line.", remedy=_REMEDY)
    data = decode_base64(match[2])
    if len(data) <= _KEY_HASH_BYTES:
        raise InvalidInput("a signature line without a signature.", remedy=_REMEDY)
    return NoteSignature(match[1], data[:_KEY_HASH_BYTES], data[_KEY_HASH_BYTES:])
