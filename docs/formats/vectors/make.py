"""Make the published test vectors: `python docs/formats/vectors/make.py` writes the JSON files beside this one.

Everything is fixed, the private keys and the signatures' nonces (RFC 6979) included, so that the same sources make the
same files; a test holds the files against this script, and a second implementation in another language against the
files. The keys are published with them: they sign nothing else.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.dsse import PROOF_TYPE, SEGMENT_TYPE, Envelope, EnvelopeSignature, pae
from ledger_core.log.keys import TrustFile
from ledger_core.log.merkle import Frontier, RangeTree, consistency_path, inclusion_path, leaf_hash, leaf_hashes
from ledger_core.log.note import NoteSignature, SignedNote, checkpoint_text, encode_base64
from ledger_core.log.proof import ProofBundle, ProvedRecord, TlogProof
from ledger_core.log.record import NO_PREV, assemble, format_time
from ledger_core.log.segment import Manifest, StoredFile, stored_file
from ledger_core.log.stream import RecordStream
from ledger_core.signing.backends.software import SoftwareKey
from ledger_core.signing.bootstrap import first_registry

ORIGIN = "vectors.example/test/main"
START = datetime(2026, 1, 31, 8, tzinfo=UTC)
ACTOR = {"role": "service", "subject": "vectors"}
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SIZE = 13
ECDSA_P256_TYPE = 2
"""The algorithm in a verifier key."""


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


def main() -> int:
    """Write every file; return the exit status."""
    for name, content in files().items():
        Path(__file__).with_name(name).write_text(content, encoding="utf-8")
    return 0


def files() -> dict[str, str]:
    """Return the files' texts by name."""
    made: dict[str, Callable[[], Any]] = {
        "canonical.json": canonical,
        "merkle.json": merkle,
        "checkpoint.json": checkpoint,
        "proof.json": proof,
        "segment.json": segment,
    }
    return {name: json.dumps(make(), indent=1, ensure_ascii=True) + "\n" for name, make in made.items()}


def canonical() -> dict[str, Any]:
    """Bytes that are the canonical form of some value, and bytes that are not."""
    values: list[Any] = [
        {},
        {"b": 1, "a": [True, False, None]},
        {"a_1": "", "a1": {}, "a": []},
        {"9": 1, "10": 2, "_": 3},
        [2**53 - 1, 1 - 2**53, 0],
        '€$\x0f\nA\'B"\\\\"/',
        "\b\t\n\f\r\x1f\x7f\u2028\U0001f600\u00e9",
    ]
    refused = {
        "white space": b'{"a": 1}',
        "order of keys": b'{"b":1,"a":2}',
        "a key twice": b'{"a":1,"a":1}',
        "a key in upper case": b'{"A":1}',
        "an empty key": b'{"":1}',
        "a float": b'{"a":1.5}',
        "an integer written as a float": b"1.0",
        "an exponent": b"1e2",
        "minus zero": b"-0",
        "an integer beyond 2^53 - 1": b"9007199254740992",
        "a needless escape": b'"\\u0041"',
        "an escape in upper case": b'"\\u001F"',
        "an escaped slash": b'"\\/"',
        "U+0000": b'"\\u0000"',
        "half a surrogate pair": b'"\\ud800"',
        "not UTF-8": b'"\xff"',
        "not NFC": b'"e\xcc\x81"',
        "a byte order mark": b"\xef\xbb\xbf{}",
        "a trailing newline": b"{}\n",
        "nothing": b"",
    }
    return {
        "valid": [{"canonical_hex": canonical_bytes(value).hex()} for value in values],
        "invalid": [{"why": why, "bytes_hex": data.hex()} for why, data in refused.items()],
    }


def merkle() -> dict[str, Any]:
    """Roots, and proofs that hold and that do not."""
    inputs = [b"", b"\0", b"\x10", *(b"%d" % number for number in range(3, SIZE))]
    leaves = leaf_hashes(inputs)
    roots = [Frontier().extend(leaves[:size]).root() for size in range(SIZE + 1)]
    tree = RangeTree(Frontier(), leaves)
    inclusion = [
        {"index": index, "size": size, "path": hexes(inclusion_path(index, size, tree.node)), "holds": True}
        for size in range(1, SIZE + 1)
        for index in range(size)
    ]
    inclusion += [
        {"index": 0, "size": 1, "path": [roots[1].hex()], "holds": False},
        {"index": 4, "size": 5, "path": [], "holds": False},
        {"index": 5, "size": 5, "path": hexes(inclusion_path(4, 5, tree.node)), "holds": False},
        {"index": 2, "size": 7, "path": hexes(reversed(inclusion_path(2, 7, tree.node))), "holds": False},
    ]
    consistency = [
        {"old": old, "new": new, "path": hexes(consistency_path(old, new, tree.node)), "holds": old > 0}
        for new in range(SIZE + 1)
        for old in range(new + 1)
    ]
    consistency += [
        {"old": 5, "new": 5, "path": [roots[5].hex()], "holds": False},
        {"old": 6, "new": 11, "path": [], "holds": False},
        {"old": 6, "new": 11, "path": hexes(consistency_path(5, 11, tree.node)), "holds": False},
    ]
    return {
        "inputs_hex": hexes(inputs),
        "leaf_hashes_hex": hexes(leaves),
        "roots_hex": hexes(roots),
        "inclusion": inclusion,
        "consistency": consistency,
    }


def checkpoint() -> dict[str, Any]:
    """Notes by the key, by its malleable twin, and by nobody that counts."""
    root = Frontier().extend(leaf_hashes(lines())).root()
    text = checkpoint_text(ORIGIN, SIZE, root)
    r, s = decode_dss_signature(KEY.sign(text.encode()))
    notes = {
        "signed": (note(text, KEY), True),
        "the twin (r, n - s) of the signature": (note(text, KEY, encode_dss_signature(r, P256_ORDER - s)), True),
        "a stranger's line beside the key's": (note(text, THIEF)[:-1] + "\n" + note(text, KEY).split("\n\n")[1], True),
        "signed by another key": (note(text, THIEF), False),
        "another key under this key's hash": (note(text, KEY, THIEF.sign(text.encode())), False),
        "text changed after signing": (note(text, KEY).replace(f"\n{SIZE}\n", f"\n{SIZE + 1}\n"), False),
        "raw r and s": (note(text, KEY, r.to_bytes(32, "big") + s.to_bytes(32, "big")), False),
        "a byte after the signature": (note(text, KEY, KEY.sign(text.encode()) + b"\0"), False),
    }
    return {
        "origin": ORIGIN,
        "size": SIZE,
        "root_hex": root.hex(),
        "spki": encode_base64(KEY.public_key.spki),
        "key_id": KEY.public_key.key_id,
        "vkey": verifier_key(KEY),
        "notes": [{"what": what, "note": made, "holds": holds} for what, (made, holds) in notes.items()],
    }


def proof() -> dict[str, Any]:
    """One record's tlog-proof, and a bundle of several in its envelope."""
    records = lines()
    tree = RangeTree(Frontier(), leaf_hashes(records))
    signed = note(checkpoint_text(ORIGIN, SIZE, tree.frontier.root()), KEY)

    def proved(seq: int) -> ProvedRecord:
        path = tuple(inclusion_path(seq, SIZE, tree.node))
        return ProvedRecord(seq=seq, canonical=records[seq], inclusion=path)

    bundle = ProofBundle(
        origin=ORIGIN,
        checkpoint=signed,
        records=(proved(0), proved(5), proved(12)),
        keys=(REGISTRY,),
        assurance="software",
    )
    text = TlogProof(index=5, path=proved(5).inclusion, checkpoint=signed, extra=records[5])
    return {
        "trust": TRUST.as_json(),
        "keys": [REGISTRY.as_json()],
        "tlog_proof": str(text),
        "bundle": envelope(PROOF_TYPE, json.dumps(bundle.as_json(), sort_keys=True).encode(), KEY).as_json(),
    }


def segment() -> dict[str, Any]:
    """A whole segment's files, and changes to them with the verdict that each must get."""
    records = lines()
    sound = segment_files(records)
    changed = [line.replace(b'"amount":"1070"', b'"amount":"1071"') for line in records]
    swapped = [*records[:5], records[6], records[5], *records[7:]]
    damaged = {
        "edited": gzipped(changed),
        "missing": gzipped([*records[:5], *records[6:]]),
        "reordered": gzipped(swapped),
        "truncated": gzipped(records[:-1]),
        "forked": gzipped([*records[:7], records[6].replace(b"charge", b"refund"), *records[7:]]),
    }
    forged = note(str(sound["checkpoint"], "utf-8").split("\n\n")[0] + "\n", THIEF).encode()
    cases = [{"verdict": verdict, "files": encoded({"records.jsonl.gz": data})} for verdict, data in damaged.items()]
    return {
        "trust": TRUST.as_json(),
        "folder": f"{ORIGIN}/segments/2026/01/31/0000000000-0-{SIZE}",
        "files": encoded(sound),
        "size": SIZE,
        "root_hex": Frontier().extend(leaf_hashes(records)).root().hex(),
        "damaged": [*cases, {"verdict": "bad_signature", "files": encoded({"checkpoint": forged})}],
    }


def segment_files(records: list[bytes]) -> dict[str, bytes]:
    """Return the four files of a segment that holds all of `records`."""
    stream = RecordStream()
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
    signed = note(checkpoint_text(ORIGIN, SIZE, stream.frontier.root()), KEY).encode()
    keys = REGISTRY.to_bytes() + b"\n"
    version, digest = json.loads(REGISTRY.payload)["version"], sha256(REGISTRY.payload).hexdigest()
    manifest = Manifest(
        origin=ORIGIN,
        book="main",
        segment=0,
        closed_on=date(2026, 1, 31),
        first_seq=0,
        next_seq=SIZE,
        previous=None,
        before=Frontier(),
        root=stream.frontier.root(),
        first_prev=NO_PREV,
        last_leaf=stream.last_leaf,
        entries=stream.entries,
        totals=stream.totals(),
        objects=(listed, stored_file("checkpoint", signed), stored_file("keys.jsonl", keys)),
        cutoff=stream.recorded_at,
        created_at=format_time(START + timedelta(days=1)),
        registry_version=version,
        registry_sha256=digest,
        software={"version": "vectors"},
        assurance="software",
    )
    return {
        "records.jsonl.gz": packed,
        "checkpoint": signed,
        "keys.jsonl": keys,
        "manifest.dsse.json": envelope(SEGMENT_TYPE, manifest.to_bytes(), KEY).to_bytes(),
    }


def lines() -> list[bytes]:
    """Return the records of the log: the book, entries with odd texts among them, an account."""
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("book", {"actor": ACTOR, "legal_entity": "Vectors", "name": "main", "origin": ORIGIN}),
        *(("journal_entry", entry(number)) for number in range(1, SIZE)),
    ]
    made: list[bytes] = []
    for seq, (kind, body) in enumerate(bodies):
        made.append(
            assemble(
                body=canonical_bytes(body),
                book="main",
                id=f"{seq:08x}-0000-7000-8000-000000000000",
                kind=kind,
                prev=leaf_hash(made[-1]) if made else NO_PREV,
                recorded_at=format_time(START + timedelta(seconds=seq)),
                seq=seq,
            )
        )
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


def note(text: str, key: SoftwareKey, signature: bytes | None = None) -> str:
    """Return `text` signed by `key`, or with that signature under the key's hash."""
    line = NoteSignature(ORIGIN, key.public_key.note_hash(ORIGIN), signature or key.sign(text.encode()))
    return str(SignedNote(text, (line,)))


def verifier_key(key: SoftwareKey) -> str:
    """Return `<name>+<hash>+<base64(type || key)>`, the form of a P-256 key that other note tools read."""
    public = key.public_key
    return f"{ORIGIN}+{public.note_hash(ORIGIN).hex()}+{encode_base64(bytes([ECDSA_P256_TYPE]) + public.spki)}"


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


def hexes(items: Any) -> list[str]:
    """Return each of `items` in hex."""
    return [item.hex() for item in items]


if __name__ == "__main__":
    sys.exit(main())
