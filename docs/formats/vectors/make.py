"""Make the published test vectors: `python docs/formats/vectors/make.py` writes the JSON files beside this one.

Everything is fixed, the private keys and the signatures' nonces (RFC 6979) included, so that the same sources make the
same files; a test holds the files against this script, and a second implementation in another language against the
files. The keys are published with them: they sign nothing else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from attested import reports
from change import keys
from company import (
    KEY,
    ORIGIN,
    REGISTRY,
    SIZE,
    THIEF,
    TRUST,
    beside,
    encoded,
    gzipped,
    lines,
    note,
    proof_envelope,
    segment_files,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from forge import forged_bundles, forged_segments, forged_tlog_proofs
from private import private

from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.merkle import Frontier, RangeTree, consistency_path, inclusion_path, leaf_hashes
from ledger_core.log.note import NoteSignature, PublicKey, SignedNote, checkpoint_text, encode_base64
from ledger_core.log.proof import ProofBundle, ProvedRecord, TlogProof
from ledger_core.signing.backends.software import SoftwareKey

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
ED25519_TYPE, ECDSA_P256_TYPE = 1, 2
"""The algorithm in a verifier key."""


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
        "keys.json": keys,
        "report.json": reports,
        "private.json": private,
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
    bad = KEY.sign(b"another text")
    stray = NoteSignature(ORIGIN, b"hash", KEY.sign(text.encode()))
    notes = {
        "signed": (note(text, KEY), True),
        "the twin (r, n - s) of the signature": (note(text, KEY, encode_dss_signature(r, P256_ORDER - s)), True),
        "a bad line of the key beside its good one": (beside(note(text, KEY), note(text, KEY, bad)), False),
        "a good line of the key beside its bad one": (beside(note(text, KEY, bad), note(text, KEY)), False),
        "the key's line under another hash": (str(SignedNote(text, (stray,))), False),
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
        "ed25519": ed25519_notes(text),
    }


def ed25519_notes(text: str) -> dict[str, Any]:
    """The same checkpoint by a key of the other algorithm, alone and beside the line of the first."""
    key = Ed25519PrivateKey.from_private_bytes(sha256(b"vectors ed25519").digest())
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    public = PublicKey(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def by(signature: bytes, key_hash: bytes | None = None) -> str:
        return str(SignedNote(text, (NoteSignature(ORIGIN, key_hash or public.note_hash(ORIGIN), signature),)))

    good = key.sign(text.encode())
    twin = good[:32] + (int.from_bytes(good[32:], "little") + ED25519_ORDER).to_bytes(32, "little")
    notes = {
        "signed": (by(good), True),
        "beside the line of an ECDSA key": (beside(note(text, KEY), by(good)), True),
        "the twin (R, S + L) of the signature": (by(twin), False),
        "a flipped bit": (by(bytes([good[0] ^ 1]) + good[1:]), False),
        "under the hash that an ECDSA key would have": (by(good, bytes.fromhex(public.key_id)[:4]), False),
        "over another text": (by(key.sign(b"another text")), False),
    }
    return {
        "spki": encode_base64(public.spki),
        "key_id": public.key_id,
        "vkey": f"{ORIGIN}+{public.note_hash(ORIGIN).hex()}+{encode_base64(bytes([ED25519_TYPE]) + raw)}",
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
        "forged_tlog_proofs": forged_tlog_proofs(text),
        "bundle": proof_envelope(bundle.as_json()),
        "forged": forged_bundles(bundle),
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
        "forged": forged_segments(sound),
    }


def verifier_key(key: SoftwareKey) -> str:
    """Return `<name>+<hash>+<base64(type || key)>`, the form of a P-256 key that other note tools read."""
    public = key.public_key
    return f"{ORIGIN}+{public.note_hash(ORIGIN).hex()}+{encode_base64(bytes([ECDSA_P256_TYPE]) + public.spki)}"


def hexes(items: Any) -> list[str]:
    """Return each of `items` in hex."""
    return [item.hex() for item in items]


if __name__ == "__main__":
    sys.exit(main())
