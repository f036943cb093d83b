"""Trust: DSSE, the registry's chain of versions, and keys valid by size."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ledger_core.errors import ConfigurationError, IntegrityError, InvalidInput
from ledger_core.log.dsse import KEYS_TYPE, Envelope, EnvelopeSignature, pae, parse_envelope, verify_envelope
from ledger_core.log.keys import (
    KeyRecord,
    TrustFile,
    Validity,
    origin_matches,
    parse_trust,
    registry_payload,
    resolve_keys,
)
from ledger_core.log.note import NoteSignature, SignedNote, checkpoint_text, parse_checkpoint
from ledger_core.log.record import format_time
from ledger_core.signing.backends.software import SoftwareKey

ORIGIN = "ledger.example/test/main"
NOW = format_time(datetime(2026, 1, 1, tzinfo=UTC))


def new_key() -> SoftwareKey:
    return SoftwareKey(ec.generate_private_key(ec.SECP256R1()))


def record(key: SoftwareKey, *valid: tuple[str, int, int | None]) -> KeyRecord:
    ranges = valid or (("ledger.example/test/*", 0, None),)
    return KeyRecord(
        key=key.public_key,
        backend="software",
        assurance="software",
        status="active",
        purposes=("checkpoint", "dsse"),
        valid=tuple(Validity(origin=origin, from_size=first, to_size=last) for origin, first, last in ranges),
    )


def registry(
    version: int,
    previous: str,
    roots: list[SoftwareKey],
    keys: list[KeyRecord],
    signers: list[SoftwareKey],
    threshold: int = 1,
) -> Envelope:
    payload = registry_payload(
        version=version,
        previous_sha256=previous,
        roots=[root.public_key for root in roots],
        threshold=threshold,
        keys=keys,
        created_at=NOW,
    )
    message = pae(KEYS_TYPE, payload)
    return Envelope(
        KEYS_TYPE, payload, tuple(EnvelopeSignature(key.public_key.key_id, key.sign(message)) for key in signers)
    )


def pinned(*roots: SoftwareKey, threshold: int = 1) -> TrustFile:
    return TrustFile(
        origin="ledger.example/test/*", threshold=threshold, roots=tuple(root.public_key for root in roots)
    )


def note_by(key: SoftwareKey, size: int) -> tuple[SignedNote, Any]:
    text = checkpoint_text(ORIGIN, size, bytes(32))
    line = NoteSignature(ORIGIN, key.public_key.note_hash(ORIGIN), key.sign(text.encode()))
    return SignedNote(text, (line,)), parse_checkpoint(text)


def test_pae_is_that_of_the_specification() -> None:
    assert (
        pae("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_an_envelope_survives_its_json_and_counts_a_key_once() -> None:
    key = new_key()
    signatures = tuple(EnvelopeSignature("any", key.sign(pae("t", b"p"))) for _ in range(2))
    envelope = Envelope("t", b"p", signatures)
    assert parse_envelope(envelope.to_bytes()) == envelope
    assert verify_envelope(envelope, [key.public_key]) == [key.public_key.key_id]
    assert verify_envelope(Envelope("u", b"p", signatures), [key.public_key]) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"payload":"AA==","payloadType":"t","signatures":[]}',
        b'{"payload":"A","payloadType":"t","signatures":[{"sig":"AA=="}]}',
        b'{"payload":"AA==","payloadType":1,"signatures":[{"sig":"AA=="}]}',
        b'{"payload":"AA==","payloadType":"t","signatures":[1]}',
        b'{"payload":"AA==","payloadType":"t","signatures":[{"sig":"AA==","keyid":1}]}',
        b"[" * 100_000,
    ],
)
def test_a_malformed_envelope_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_envelope(data)


def test_a_registry_signed_by_the_pinned_root_gives_its_keys() -> None:
    root, key = new_key(), new_key()
    envelope = registry(1, "0" * 64, [root], [record(key)], [root])
    ring = resolve_keys(pinned(root), [envelope])
    assert (ring.version, ring.sha256) == (1, sha256(envelope.payload).hexdigest())
    assert ring.judge_checkpoint(*note_by(key, 5)).verdict is None
    assert ring.judge_checkpoint(*note_by(new_key(), 5)).verdict == "bad_signature"


def test_a_registry_of_another_root_is_a_bad_signature() -> None:
    root, thief = new_key(), new_key()
    with pytest.raises(IntegrityError) as caught:
        resolve_keys(pinned(root), [registry(1, "0" * 64, [thief], [record(new_key())], [thief])])
    assert caught.value.context["verdict"] == "bad_signature"


def test_a_threshold_counts_keys_and_not_signatures() -> None:
    one, two, key = new_key(), new_key(), new_key()
    trust = pinned(one, two, threshold=2)
    twice = registry(1, "0" * 64, [one, two], [record(key)], [one, one], threshold=2)
    with pytest.raises(IntegrityError):
        resolve_keys(trust, [twice])
    both = registry(1, "0" * 64, [one, two], [record(key)], [one, two], threshold=2)
    assert resolve_keys(trust, [both]).version == 1


def test_roots_are_changed_by_the_old_and_the_new_together() -> None:
    old, new, key = new_key(), new_key(), new_key()
    first = registry(1, "0" * 64, [old], [record(key)], [old])
    digest = sha256(first.payload).hexdigest()
    assert resolve_keys(pinned(old), [first, registry(2, digest, [new], [record(key)], [old, new])]).version == 2
    for signers in ([old], [new]):
        with pytest.raises(IntegrityError, match="lacks the signatures"):
            resolve_keys(pinned(old), [first, registry(2, digest, [new], [record(key)], signers)])


def test_versions_follow_one_another_without_a_gap() -> None:
    root, key = new_key(), new_key()
    first = registry(1, "0" * 64, [root], [record(key)], [root])
    for version, previous in ((3, sha256(first.payload).hexdigest()), (2, "0" * 64)):
        with pytest.raises(IntegrityError, match="does not follow"):
            resolve_keys(pinned(root), [first, registry(version, previous, [root], [record(key)], [root])])


def test_newer_pinned_roots_pass_over_the_versions_before_them() -> None:
    old, new, key = new_key(), new_key(), new_key()
    first = registry(1, "0" * 64, [old], [record(key)], [old])
    second = registry(2, sha256(first.payload).hexdigest(), [new], [record(key)], [old, new])
    assert resolve_keys(pinned(new), [first, second]).version == 2


def test_a_key_counts_for_its_range_of_sizes_both_ends_included() -> None:
    root, old, new = new_key(), new_key(), new_key()
    keys = [record(old, (ORIGIN, 0, 100)), record(new, (ORIGIN, 100, None))]
    ring = resolve_keys(pinned(root), [registry(1, "0" * 64, [root], keys, [root])])
    assert ring.judge_checkpoint(*note_by(old, 100)).verdict is None
    assert ring.judge_checkpoint(*note_by(new, 100)).verdict is None
    assert ring.judge_checkpoint(*note_by(old, 101)).verdict == "key_not_valid_at_size"
    assert ring.judge_checkpoint(*note_by(new, 99)).verdict == "key_not_valid_at_size"


def test_a_range_that_names_the_log_beats_a_wildcard() -> None:
    found = record(new_key(), ("ledger.example/test/*", 0, None), (ORIGIN, 0, 10))
    assert found.is_valid_at("ledger.example/test/other", 1_000)
    assert not found.is_valid_at(ORIGIN, 11)


def test_a_wildcard_ends_at_a_slash() -> None:
    assert origin_matches("a.example/prod/*", "a.example/prod/main")
    assert not origin_matches("a.example/prod/*", "a.example/production/main")
    assert not origin_matches("a.example/prod", "a.example/prod/main")


def test_a_trust_file_survives_its_json() -> None:
    trust = pinned(new_key(), new_key(), threshold=2)
    found = parse_trust(json.dumps(trust.as_json()).encode())
    assert [key.key_id for key in found.roots] == [key.key_id for key in trust.roots]
    assert (found.origin, found.threshold) == (trust.origin, 2)


@pytest.mark.parametrize(
    "change", [{"schema": "x"}, {"threshold": 0}, {"threshold": 2}, {"threshold": True}, {"roots": []}, {"origin": 1}]
)
def test_a_malformed_trust_file_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "trust.json").write_text(json.dumps({**pinned(new_key()).as_json(), **change}))
    with pytest.raises(ConfigurationError):
        TrustFile.load(tmp_path / "trust.json")


def test_a_key_that_does_not_carry_its_own_name_is_refused() -> None:
    value = pinned(new_key()).as_json()
    value["roots"][0]["key_id"] = "0" * 64
    with pytest.raises(InvalidInput, match="key_id"):
        parse_trust(json.dumps(value).encode())
