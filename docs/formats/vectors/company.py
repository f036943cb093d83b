"""The company of the vectors: its keys, its log, its segment; fixed, so that the same sources make the same files."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.dsse import PROOF_TYPE, SEGMENT_TYPE, Envelope, EnvelopeSignature, pae
from ledger_core.log.keys import TrustFile
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.note import NoteSignature, SignedNote, checkpoint_text, encode_base64
from ledger_core.log.record import NO_PREV, assemble, format_time
from ledger_core.log.segment import Manifest, Previous, StoredFile, stored_file
from ledger_core.log.stream import RecordStream
from ledger_core.signing.backends.software import SoftwareKey
from ledger_core.signing.bootstrap import first_registry

ORIGIN = "vectors.example/test/main"
START = datetime(2026, 1, 31, 8, tzinfo=UTC)
ACTOR = {"role": "service", "subject": "vectors"}
SIZE = 13


class FixedKey(SoftwareKey):
    """A key made from a small number, which signs the same message the same way each time."""

    def __init__(self, number: int) -> None:
        super().__init__(ec.derive_private_key(number, ec.SECP256R1()))

    def sign(self, message: bytes) -> bytes:
        """Return the signature of RFC 6979."""
        return self._key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


KEY, ROOT, THIEF = FixedKey(1_001), FixedKey(1_002), FixedKey(1_003)
REGISTRY = first_registry(KEY, ROOT, "vectors.example/test/*", START)
TRUST = TrustFile(origin="vectors.example/test/*", threshold=1, roots=(ROOT.public_key,))


BOOK = {"actor": ACTOR, "legal_entity": "Vectors", "name": "main", "origin": ORIGIN}


def lines(odd: Mapping[int, dict[str, Any]] | None = None) -> list[bytes]:
    """Return the records of the log: the book, entries with odd texts among them; `odd` members at their seqs."""
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("book", BOOK),
        *(("journal_entry", entry(number)) for number in range(1, SIZE)),
    ]
    made: list[bytes] = []
    for seq, (kind, body) in enumerate(bodies):
        members: dict[str, Any] = {
            "body": canonical_bytes(body),
            "book": "main",
            "id": f"{seq:08x}-0000-7000-8000-000000000000",
            "kind": kind,
            "prev": leaf_hash(made[-1]) if made else NO_PREV,
            "recorded_at": format_time(START + timedelta(seconds=seq)),
            "seq": seq,
        }
        made.append(assemble(**{**members, **(odd or {}).get(seq, {})}))
    return made


def entry(number: int) -> dict[str, Any]:
    """Return a charge with its fee; every third in a currency without minor units and with a text out of ASCII."""
    gross, fee, currency = 1_000 + 14 * number, 30 + number, "JPY" if number % 3 == 0 else "USD"
    sides = [("assets:clearing", gross - fee, "debit"), ("expenses:fees", fee, "debit"), ("revenue", gross, "credit")]
    return {
        "actor": ACTOR,
        "description": f"charge “{number}” — café \\ {number}" if number % 3 == 0 else f"charge {number}",
        "effective_at": format_time(START + timedelta(minutes=number)),
        "external_id": f"vectors:{number}",
        "fingerprint": leaf_hash(b"%d" % number).hex(),
        "metadata": {"reference": f"txn_{number}"} if number % 2 else {},
        "postings": [
            {
                "account": f"{account}:{currency.lower()}",
                "amount": str(amount),
                "currency": currency,
                "direction": side,
            }
            for account, amount, side in sides
        ],
    }


def note(text: str, key: SoftwareKey, signature: bytes | None = None, *, name: str = ORIGIN) -> str:
    """Return `text` signed by `key` as `name`, or with that signature under the key's hash."""
    line = NoteSignature(name, key.public_key.note_hash(name), signature or key.sign(text.encode()))
    return str(SignedNote(text, (line,)))


def beside(one: str, other: str) -> str:
    """Return the note `one` with the signature lines of `other` below its own."""
    return one + other.partition("\n\n")[2]


def segment_files(
    records: list[bytes],
    *,
    first: int = 0,
    following: int = SIZE,
    key: SoftwareKey = KEY,
    registry: Sequence[Envelope] = (REGISTRY,),
    previous: Previous | None = None,
    signed: str | None = None,
) -> dict[str, bytes]:
    """Return the four files of a segment that holds `records`, those of the log from `first` to before `following`."""
    before = Frontier().extend(leaf_hash(line) for line in lines()[:first])
    first_prev = leaf_hash(lines()[first - 1]) if first else NO_PREV
    stream = RecordStream(frontier=before, prev=first_prev)
    stream.feed(records)
    packed = gzipped(records)
    listed = stored_file("records.jsonl.gz", packed)
    content = b"".join(line + b"\n" for line in records)
    listed = StoredFile(
        name=listed.name,
        bytes=listed.bytes,
        sha256=listed.sha256,
        content_bytes=len(content),
        content_sha256=stored_file("", content).sha256,
        lines=len(records),
    )
    signed = signed or note(checkpoint_text(ORIGIN, following, stream.frontier.root()), key)
    keys = b"".join(document.to_bytes() + b"\n" for document in registry)
    version, digest = json.loads(registry[-1].payload)["version"], sha256(registry[-1].payload).hexdigest()
    segment = 0 if previous is None else previous.segment + 1
    manifest = Manifest(
        origin=ORIGIN,
        book="main",
        segment=segment,
        closed_on=date(2026, 1, 31) + timedelta(days=segment),
        first_seq=first,
        next_seq=following,
        previous=previous,
        before=before,
        root=stream.frontier.root(),
        first_prev=first_prev,
        last_leaf=stream.last_leaf,
        entries=stream.entries,
        totals=stream.totals(),
        objects=(listed, stored_file("checkpoint", signed.encode()), stored_file("keys.jsonl", keys)),
        cutoff=stream.recorded_at,
        created_at=format_time(START + timedelta(days=1)),
        registry_version=version,
        registry_sha256=digest,
        software={"version": "vectors"},
        assurance="software",
    )
    return {
        "records.jsonl.gz": packed,
        "checkpoint": signed.encode(),
        "keys.jsonl": keys,
        "manifest.dsse.json": envelope(SEGMENT_TYPE, manifest.to_bytes(), key).to_bytes(),
    }


def proof_envelope(bundle: dict[str, Any]) -> dict[str, Any]:
    """Return the bundle in a signed envelope."""
    return envelope(PROOF_TYPE, json.dumps(bundle, sort_keys=True).encode(), KEY).as_json()


def envelope(payload_type: str, payload: bytes, key: SoftwareKey) -> Envelope:
    """Return a signed envelope."""
    signature = EnvelopeSignature(key.public_key.key_id, key.sign(pae(payload_type, payload)))
    return Envelope(payload_type, payload, (signature,))


def gzipped(records: list[bytes]) -> bytes:
    """Return gzip with one stored block (RFC 1951 section 3.2.4): the same bytes from any version of zlib."""
    content = b"".join(line + b"\n" for line in records)
    assert len(content) < 65_536, "a stored block has a 16-bit length"
    length = len(content).to_bytes(2, "little")
    block = b"\x01" + length + bytes(byte ^ 0xFF for byte in length) + content
    tail = zlib.crc32(content).to_bytes(4, "little") + len(content).to_bytes(4, "little")
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + block + tail


def encoded(found: dict[str, bytes]) -> dict[str, str]:
    """Return the files in base64."""
    return {name: encode_base64(data) for name, data in found.items()}
