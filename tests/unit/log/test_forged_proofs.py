"""A table of forged proofs, one forgery a check; and the corners of the tree and of notes that a forger would try."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger_core.log.merkle import consistency_path, inclusion_path, leaf_hash, node_hash, verify_inclusion
from ledger_core.log.note import NoteSignature, PublicKey, SignedNote, checkpoint_text, parse_note, verify_note
from ledger_core.log.proof import Consistency, ProofBundle, ProvedRecord
from ledger_core.log.verifier import verify_path
from ledger_core.signing.backends.software import SoftwareKey

ORIGIN = "ledger.example/test/main"
TEXT = checkpoint_text(ORIGIN, 3, bytes(range(32)))


def odd(log: Any, **members: Any) -> ProofBundle:
    """A proof of a record that was signed with these members."""
    log.append(json.loads(log.lines[1])["body"], **members)
    return log.bundle(len(log.lines) - 1)


def of_another_origin(log: Any) -> ProofBundle:
    return dataclasses.replace(log.bundle(3), origin="ledger.example/test/other")


def beyond(log: Any) -> ProofBundle:
    """The leaf after the last, with the path that its place would have in the tree of one more."""
    path = tuple(inclusion_path(40, 60, log.tree().node))
    return dataclasses.replace(
        log.bundle(3, size=40), records=(ProvedRecord(seq=40, canonical=log.lines[40], inclusion=path),)
    )


def with_older(log: Any, origin: str, size: int = 33) -> ProofBundle:
    twin = type(log)(origin=origin, key=log.key, lines=log.lines)
    path = tuple(consistency_path(size, 60, log.tree().node))
    return dataclasses.replace(log.bundle(3), consistency=(Consistency(checkpoint=twin.note(size), path=path),))


def with_unsigned_older(log: Any) -> ProofBundle:
    path = tuple(consistency_path(33, 60, log.tree().node))
    stranger = type(log)(lines=log.lines)
    return dataclasses.replace(log.bundle(3), consistency=(Consistency(checkpoint=stranger.note(33), path=path),))


def with_spoiled_checkpoint(log: Any) -> ProofBundle:
    bad = log.note(59).rpartition("\n\n")[2]
    return dataclasses.replace(log.bundle(3), checkpoint=log.note() + bad)


FORGERIES: dict[str, tuple[Callable[[Any], ProofBundle], str, str]] = {
    "a record of another book": (lambda log: odd(log, book="other"), "forked", "a record of book other in the log"),
    "a record in another's place": (lambda log: odd(log, seq=7), "reordered", "says that it is seq 7"),
    "a bundle of another origin": (of_another_origin, "forked", "a proof of ledger.example/test/other with"),
    "a record just beyond the checkpoint": (beyond, "unsigned_pending", "the checkpoint covers 40 records"),
    "an older checkpoint of another log": (
        lambda log: with_older(log, "ledger.example/test/other"), "forked", "is no part of that of 60",
    ),
    "an older checkpoint of a log not pinned": (
        lambda log: with_older(log, "elsewhere.example/test/main"), "unverifiable", "pins nothing for elsewhere",
    ),
    "an older checkpoint by a stranger": (with_unsigned_older, "bad_signature", "no key of registry version 1"),
    "a bad line of the key beside its good one": (with_spoiled_checkpoint, "bad_signature", "no key of registry"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_proof_gets_its_verdict_for_its_reason(log: Any, tmp_path: Path, name: str) -> None:
    make, verdict, reason = FORGERIES[name]
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(make(log).as_json()))
    report = verify_path(path, log.trust)
    assert report.verdict == verdict, report.as_lines()
    assert any(item.verdict == verdict and reason in item.detail for item in report.failures), report.as_lines()


def test_a_sound_older_checkpoint_is_no_forgery(log: Any, tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(with_older(log, ORIGIN).as_json()))
    assert verify_path(path, log.trust).verdict == "verified"


LEAVES = [leaf_hash(b"%d" % number) for number in range(8)]


def test_a_leaf_outside_the_tree_is_not_in_it() -> None:
    """Of a tree of two: what proves leaf 0 adds up to the root at index 2 too, and there is no such leaf."""
    root = node_hash(LEAVES[0], LEAVES[1])
    assert verify_inclusion(LEAVES[0], 0, 2, [LEAVES[1]], root)
    for index in (2, 3, 4, -1):
        assert not verify_inclusion(LEAVES[0], index, 2, [LEAVES[1]], root)
    assert verify_inclusion(LEAVES[0], 0, 1, [], LEAVES[0])
    assert not verify_inclusion(LEAVES[0], 1, 1, [], LEAVES[0])
    assert not verify_inclusion(LEAVES[0], 0, 0, [], LEAVES[0])


def test_a_path_that_ends_below_the_root_proves_nothing_though_the_hashes_meet() -> None:
    """An inner node passed off as a leaf: its path is one hash too short for the size."""
    left, right = node_hash(LEAVES[0], LEAVES[1]), node_hash(LEAVES[2], LEAVES[3])
    root = node_hash(left, right)
    assert verify_inclusion(left, 0, 2, [right], root), "in a tree of two it is one"
    assert not verify_inclusion(left, 0, 4, [right], root)
    assert not verify_inclusion(root, 0, 4, [], root)


@pytest.fixture
def key() -> SoftwareKey:
    return SoftwareKey(ec.generate_private_key(ec.SECP256R1()))


def line(key: SoftwareKey, signature: bytes | None = None, key_hash: bytes | None = None) -> NoteSignature:
    return NoteSignature(ORIGIN, key_hash or key.public_key.note_hash(ORIGIN), signature or key.sign(TEXT.encode()))


def test_a_signature_under_another_hash_is_a_strangers(key: SoftwareKey) -> None:
    note = SignedNote(TEXT, (line(key, key_hash=b"hash"),))
    assert verify_note(note, ORIGIN, [key.public_key]) == []
    assert verify_note(SignedNote(TEXT, (*note.signatures, line(key))), ORIGIN, [key.public_key]) == [
        key.public_key.key_id
    ]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_bad_line_of_a_known_key_spoils_the_note_wherever_it_stands(key: SoftwareKey, place: int) -> None:
    stranger = SoftwareKey(ec.generate_private_key(ec.SECP256R1()))
    lines = [line(key), line(key)]
    lines.insert(place, line(key, stranger.sign(TEXT.encode())))
    note = parse_note(str(SignedNote(TEXT, tuple(lines))))
    assert verify_note(note, ORIGIN, [key.public_key]) == []


def test_a_bad_line_of_one_of_two_known_keys_spoils_the_note(key: SoftwareKey) -> None:
    """As at a rotation, where both sign."""
    private = ed25519.Ed25519PrivateKey.generate()
    public = PublicKey(private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    good = NoteSignature(ORIGIN, public.note_hash(ORIGIN), private.sign(TEXT.encode()))
    bad = NoteSignature(ORIGIN, public.note_hash(ORIGIN), private.sign(b"another text"))
    both = [key.public_key, public]
    assert verify_note(SignedNote(TEXT, (line(key), good)), ORIGIN, both) == [item.key_id for item in both]
    assert verify_note(SignedNote(TEXT, (line(key), bad)), ORIGIN, both) == []
    assert verify_note(SignedNote(TEXT, (line(key), bad)), ORIGIN, [key.public_key]) == [key.public_key.key_id], (
        "to whoever does not know the other key it is a stranger's"
    )


def test_two_keys_of_one_hash_do_not_spoil_each_others_line(key: SoftwareKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four bytes can be the same by chance."""
    other = SoftwareKey(ec.generate_private_key(ec.SECP256R1()))
    monkeypatch.setattr(PublicKey, "note_hash", lambda self, name: b"same")
    note = SignedNote(TEXT, (line(key),))
    assert verify_note(note, ORIGIN, [other.public_key, key.public_key]) == [key.public_key.key_id]
