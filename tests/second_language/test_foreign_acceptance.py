"""Other people's verifiers take our checkpoints, proofs and envelopes, and refuse each with a bit flipped."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ledger_core.actor import Actor
from ledger_core.evidence.proofs.prove import verify_selection
from ledger_core.log.dsse import PROOF_TYPE, Envelope, EnvelopeSignature, pae, parse_envelope
from ledger_core.log.merkle import Frontier, RangeTree, inclusion_path, leaf_hash
from ledger_core.log.note import (
    NoteSignature,
    PublicKey,
    SignedNote,
    checkpoint_text,
    decode_base64,
    encode_base64,
    parse_note,
)
from ledger_core.log.proof import parse_bundle
from ledger_core.ports import Ask, RecordDraft
from ledger_core.runtime import Runtime
from ledger_core.signing.backends.software import SoftwareKey
from tests.second_language.foreign import (
    openssl_takes,
    securesystemslib_takes_envelope,
    sigstore_reads,
    sigstore_takes_envelope,
    sigstore_takes_note,
    sigstore_takes_proof,
)

VECTORS = Path(__file__).parents[2] / "docs" / "formats" / "vectors"
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def load(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


def flipped(data: bytes, count: int = 16) -> Iterator[bytes]:
    """`data` with one bit changed, at places spread over it."""
    for at in range(0, len(data), max(len(data) // count, 1)):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        yield bytes(changed)


@dataclass(frozen=True, slots=True)
class Signed:
    """One checkpoint and one envelope, and the key of both."""

    spki: bytes
    note: str
    envelope: Envelope

    @property
    def key_id(self) -> str:
        return PublicKey(self.spki).key_id

    @property
    def signature(self) -> bytes:
        return parse_note(self.note).signatures[0].signature

    @property
    def text(self) -> bytes:
        return parse_note(self.note).text.encode()


def published() -> Signed:
    """The vectors' own."""
    notes = load("checkpoint.json")
    return Signed(decode_base64(notes["spki"]), notes["notes"][0]["note"], parse_envelope(load("proof.json")["bundle"]))


# openssl


@needs_openssl
def test_openssl_takes_checkpoints_and_envelopes_of_an_ecdsa_key(tmp_path: Path) -> None:
    ours = published()
    message = pae(ours.envelope.payload_type, ours.envelope.payload)
    for said, signature in ((ours.text, ours.signature), (message, ours.envelope.signatures[0].signature)):
        assert openssl_takes(tmp_path, ours.spki, said, signature)
        assert not any(openssl_takes(tmp_path, ours.spki, changed, signature) for changed in flipped(said, 8))
        assert not any(openssl_takes(tmp_path, ours.spki, said, changed) for changed in flipped(signature, 8))


@needs_openssl
def test_openssl_takes_a_checkpoint_of_an_ed25519_key(tmp_path: Path) -> None:
    vector = load("checkpoint.json")["ed25519"]
    spki, note = decode_base64(vector["spki"]), parse_note(vector["notes"][0]["note"])
    text, signature = note.text.encode(), note.signatures[0].signature
    assert openssl_takes(tmp_path, spki, text, signature)
    assert not any(openssl_takes(tmp_path, spki, changed, signature) for changed in flipped(text, 8))
    assert not any(openssl_takes(tmp_path, spki, text, changed) for changed in flipped(signature, 8))


@needs_openssl
def test_openssl_and_ours_say_the_same_of_every_published_note(tmp_path: Path) -> None:
    """Of the line that bears the key's own hash; which lines count beside it is the note's affair.

    `dgst` reads no more of a signature than the longest there is, so that it does not see what stands behind it.
    """
    vector = load("checkpoint.json")
    for part in (vector, vector["ed25519"]):
        spki = decode_base64(part["spki"])
        key = PublicKey(spki)
        for case in part["notes"]:
            if case["what"] == "a byte after the signature":
                continue
            note = parse_note(case["note"])
            lines = [item for item in note.signatures if item.key_hash == key.note_hash(vector["origin"])]
            taken = [openssl_takes(tmp_path, spki, note.text.encode(), item.signature) for item in lines]
            assert (bool(taken) and all(taken)) is case["holds"], case["what"]


# sigstore and securesystemslib


def test_sigstore_reads_and_takes_our_checkpoint() -> None:
    ours, vector = published(), load("checkpoint.json")
    assert sigstore_reads(ours.note) == (vector["origin"], vector["size"], vector["root_hex"])
    assert sigstore_takes_note(ours.note, ours.spki, ours.key_id)
    signature = parse_note(ours.note).signatures[0]
    for changed in flipped(signature.signature):
        note = SignedNote(parse_note(ours.note).text, (NoteSignature(signature.name, signature.key_hash, changed),))
        assert not sigstore_takes_note(str(note), ours.spki, ours.key_id)
    for changed in flipped(ours.text):
        assert not sigstore_takes_note(
            changed.decode("utf-8", "replace") + ours.note[len(ours.text.decode()) :], ours.spki, ours.key_id
        )


def test_sigstore_reads_our_checkpoint_of_an_ed25519_key_and_beside_another_line() -> None:
    """Rekor points at a key by the hash of its SPKI, C2SP at an Ed25519 key by its name too: read, and not matched."""
    vector = load("checkpoint.json")
    for case in vector["ed25519"]["notes"][:2]:
        assert sigstore_reads(case["note"]) == (vector["origin"], vector["size"], vector["root_hex"])
    both, first = vector["ed25519"]["notes"][1]["note"], published()
    assert sigstore_takes_note(both, first.spki, first.key_id)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13, 255, 256, 257, 1_000])
def test_sigstore_takes_our_proofs_in_trees_of_any_shape(size: int) -> None:
    key = SoftwareKey(ec.generate_private_key(ec.SECP256R1()))
    origin = "ledger.example/test/main"
    records = [b'{"seq":%d}' % number for number in range(size)]
    tree = RangeTree(Frontier(), [leaf_hash(record) for record in records])
    text = checkpoint_text(origin, size, tree.frontier.root())
    line = NoteSignature(origin, key.public_key.note_hash(origin), key.sign(text.encode()))
    note, spki, key_id = str(SignedNote(text, (line,))), key.public_key.spki, key.public_key.key_id
    for seq in sorted({0, 1, size // 3, size // 2, size - 2, size - 1} & set(range(size))):
        path = inclusion_path(seq, size, tree.node)
        assert sigstore_takes_proof(note, spki, key_id, records[seq], seq, path)
        for changed in flipped(records[seq], 3):
            assert not sigstore_takes_proof(note, spki, key_id, changed, seq, path)
        assert not sigstore_takes_proof(note, spki, key_id, records[seq], seq, [*path, bytes(32)])
        for at, node in enumerate(path):
            other = [*path[:at], next(flipped(node)), *path[at + 1 :]]
            assert not sigstore_takes_proof(note, spki, key_id, records[seq], seq, other)
        assert size == 1 or not sigstore_takes_proof(note, spki, key_id, records[seq], (seq + 1) % size, path)


def test_sigstore_and_securesystemslib_take_our_envelope() -> None:
    ours = published()
    sound = ours.envelope.as_json()
    assert sigstore_takes_envelope(sound, ours.spki) == ours.envelope.payload
    assert securesystemslib_takes_envelope(sound, ours.spki, ours.key_id) == ours.envelope.payload
    (signature,) = ours.envelope.signatures
    forged = [Envelope(ours.envelope.payload_type, data, (signature,)) for data in flipped(ours.envelope.payload)]
    forged += [
        Envelope(ours.envelope.payload_type, ours.envelope.payload, (EnvelopeSignature(signature.key_id, changed),))
        for changed in flipped(signature.signature)
    ]
    forged.append(Envelope(f"{PROOF_TYPE}x", ours.envelope.payload, (signature,)))
    for envelope in forged:
        assert sigstore_takes_envelope(envelope.as_json(), ours.spki) is None
        assert securesystemslib_takes_envelope(envelope.as_json(), ours.spki, ours.key_id) is None


# What a running ledger answers


@pytest.mark.integration
@needs_openssl
def test_all_of_them_take_what_a_running_ledger_and_its_proxy_sign(runtime: Runtime, tmp_path: Path) -> None:
    drafts = [RecordDraft(kind="security_event", body={"event": "x", "what": f"event {n}"}) for n in range(300)]
    runtime.ledger("main").append(drafts, Ask(actor=Actor(subject="tester")))
    found = verify_selection(runtime, "main", selector={"seq_range": (250, 301)})
    bundle = parse_bundle(found.payload)
    registry = json.loads(bundle.keys[-1].payload)
    (key,) = registry["keys"]
    ours = Signed(decode_base64(key["spki"]), bundle.checkpoint, parse_envelope(found.envelope))
    assert ours.key_id == key["key_id"]
    assert sigstore_reads(ours.note)[:2] == ("counterfoil.localhost/test/main", 301)
    assert sigstore_takes_note(ours.note, ours.spki, ours.key_id)
    assert openssl_takes(tmp_path, ours.spki, ours.text, ours.signature)
    for item in bundle.records:
        assert sigstore_takes_proof(ours.note, ours.spki, ours.key_id, item.canonical, item.seq, list(item.inclusion))
    payload = base64.b64decode(found.envelope["payload"])
    assert sigstore_takes_envelope(found.envelope, ours.spki) == payload
    assert securesystemslib_takes_envelope(found.envelope, ours.spki, ours.key_id) == payload
    signature = ours.envelope.signatures[0].signature
    assert openssl_takes(tmp_path, ours.spki, pae(PROOF_TYPE, payload), signature)
    assert not openssl_takes(tmp_path, ours.spki, pae(PROOF_TYPE, payload[:-1]), signature)
    assert encode_base64(signature) == found.envelope["signatures"][0]["sig"]
