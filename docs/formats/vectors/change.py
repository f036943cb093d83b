"""Keys that change: two rotations and a change of the roots, a stolen key, and what thieves make of either."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from company import (
    KEY,
    ORIGIN,
    REGISTRY,
    ROOT,
    SIZE,
    THIEF,
    TRUST,
    FixedKey,
    beside,
    encoded,
    envelope,
    lines,
    note,
    segment_files,
)

from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.dsse import KEYS_TYPE, PROOF_TYPE, SEGMENT_TYPE, Envelope, parse_envelope
from ledger_core.log.keys import KeyRing, TrustFile, resolve_keys
from ledger_core.log.merkle import Frontier, RangeTree, consistency_path, inclusion_path, leaf_hashes
from ledger_core.log.note import Checkpoint, checkpoint_text, decode_base64, encode_base64
from ledger_core.log.proof import Consistency, ProofBundle, ProvedRecord
from ledger_core.log.segment import Previous, manifest_sha256
from ledger_core.signing.backends.software import SoftwareKey
from ledger_core.signing.documents import Successor, compromised, next_document, rotated

SECOND, THIRD, OTHER_ROOT, THIRD_ROOT = FixedKey(1_004), FixedKey(1_005), FixedKey(1_006), FixedKey(1_007)
BELOW = TRUST.origin
MADE = "2026-02-01T00:00:00.000000Z"
FIRST_END, SECOND_END = 5, 9
"""The sizes at which the first key gives way to the second, and that to the third; the second is stolen beyond 9."""


def keys() -> dict[str, Any]:
    """The vectors of changes of keys."""
    return {"origin": ORIGIN, "trust": TRUST.as_json(), "rotation": _rotation(), "compromise": _compromise()}


def _ring(registry: Sequence[Envelope]) -> KeyRing:
    return resolve_keys(TRUST, registry)


def _successor(key: SoftwareKey) -> Successor:
    return Successor(key=key.public_key, backend=key.name, assurance=key.assurance)


def _signed(payload: bytes, *roots: SoftwareKey) -> Envelope:
    signatures = tuple(envelope(KEYS_TYPE, payload, root).signatures[0] for root in roots)
    return Envelope(KEYS_TYPE, payload, signatures)


def _rotated(registry: Sequence[Envelope], key: SoftwareKey, size: int, **roots: Any) -> bytes:
    ring = _ring(registry)
    return next_document(ring, rotated(ring.keys, _successor(key), {ORIGIN: size}, BELOW), created_at=MADE, **roots)


ONCE = [REGISTRY, _signed(_rotated([REGISTRY], SECOND, FIRST_END), ROOT)]
TWO_ROOTS = {"roots": [ROOT.public_key, OTHER_ROOT.public_key], "threshold": 2}
TWICE_PAYLOAD = _rotated(ONCE, THIRD, SECOND_END, **TWO_ROOTS)
TWICE = [*ONCE, _signed(TWICE_PAYLOAD, ROOT, OTHER_ROOT)]


def stolen_registry() -> list[Envelope]:
    ring = _ring(ONCE)
    good = {ORIGIN: Checkpoint(ORIGIN, SECOND_END, _root(SECOND_END))}
    thieved = compromised(ring.keys, ring.keys[1], good, BELOW, successor=_successor(THIRD))
    return [*ONCE, _signed(next_document(ring, thieved, created_at=MADE), ROOT)]


def _rotation() -> dict[str, Any]:
    text = {size: _text(size) for size in (FIRST_END, SECOND_END, SIZE)}
    both = beside(note(text[FIRST_END], KEY), note(text[FIRST_END], SECOND))
    notes = {
        "the old key, at its end": (note(text[FIRST_END], KEY), True),
        "the new key, where it begins": (note(text[FIRST_END], SECOND), True),
        "both, where they meet": (both, True),
        "the old key, after its end": (note(text[SECOND_END], KEY), False),
        "the third key, before it begins": (note(text[FIRST_END], THIRD), False),
        "the third key, on": (note(text[SIZE], THIRD), True),
        "the second key, after its end": (note(text[SIZE], SECOND), False),
        "the old key's line beside the new one's, after its end": (
            beside(note(text[SIZE], KEY), note(text[SIZE], THIRD)),
            True,
        ),
    }
    one = ONCE[1]
    fourth = _signed(_edited(TWICE_PAYLOAD, version=4, prev_sha256=_digest(TWICE[-1])), ROOT, OTHER_ROOT)
    own = _rotated(ONCE, THIRD, SECOND_END, roots=[THIRD_ROOT.public_key], threshold=1)
    after = {
        "two of two": ([TWICE[2]], "verified"),
        "one of two": ([_signed(TWICE_PAYLOAD, ROOT)], "bad_signature"),
        "one of two, signed twice": ([_signed(TWICE_PAYLOAD, ROOT, ROOT)], "bad_signature"),
        "the new root alone": ([_signed(TWICE_PAYLOAD, OTHER_ROOT)], "bad_signature"),
        "a root that is none": ([_signed(TWICE_PAYLOAD, OTHER_ROOT, THIRD_ROOT)], "bad_signature"),
        "roots of its own alone": ([_signed(own, THIRD_ROOT)], "bad_signature"),
        "a version left out": ([_signed(_edited(TWICE_PAYLOAD, version=4), ROOT, OTHER_ROOT)], "bad_signature"),
        "another predecessor": (
            [_signed(_edited(TWICE_PAYLOAD, prev_sha256=_digest(REGISTRY)), ROOT, OTHER_ROOT)],
            "bad_signature",
        ),
        "the version before, once more": ([TWICE[2], one], "bad_signature"),
        "the next one, signed by one root of two": ([TWICE[2], _signed(fourth.payload, ROOT)], "bad_signature"),
        "the next one, signed by both": ([TWICE[2], fourth], "verified"),
    }
    newest = TrustFile(
        origin=TRUST.origin,
        threshold=2,
        roots=(ROOT.public_key, OTHER_ROOT.public_key),
        registry_version=3,
    )
    parts: list[_Part] = [
        (0, FIRST_END, KEY, [REGISTRY]),
        (FIRST_END, SECOND_END, SECOND, ONCE),
        (SECOND_END, SIZE, THIRD, TWICE),
    ]
    foreign = _signed(_edited(REGISTRY.payload, created_at=MADE), THIRD_ROOT)
    runs = {
        "each segment with the registry of its day": (TRUST, parts, "verified"),
        "the same, for whoever pins the newest roots and version": (newest, parts, "verified"),
        "the same without the end, for whoever pins the newest version": (
            replace(TRUST, registry_version=3),
            parts[:2],
            "truncated",
        ),
        "the same without the end, for whoever pins the newest roots": (newest, parts[:2], "bad_signature"),
        "a registry of other roots in a segment of before the pinned ones": (
            newest,
            [(0, FIRST_END, KEY, [foreign]), *parts[1:]],
            "bad_signature",
        ),
    }
    return {
        "keys": [item.as_json() for item in TWICE],
        "runs": [
            {"what": what, "trust": trust.as_json(), "segments": _run(lines(), made), "verdict": verdict}
            for what, (trust, made, verdict) in runs.items()
        ],
        "notes": [{"what": what, "note": made, "holds": holds} for what, (made, holds) in notes.items()],
        "registries": [
            {"what": what, "keys": [item.as_json() for item in [*ONCE, *more]], "verdict": verdict}
            for what, (more, verdict) in after.items()
        ],
        "newest_trust": newest.as_json(),
        "replayed": [
            {"what": "the registry of before the last change", "keys": [item.as_json() for item in ONCE]},
            {"what": "the first registry", "keys": [REGISTRY.as_json()]},
        ],
    }


def _compromise() -> dict[str, Any]:
    stolen = stolen_registry()
    forged = [*lines()[:7], *lines({7: {"id": "99999999-0000-7000-8000-000000000000"}})[7:]]

    def run(records: list[bytes], *parts: tuple[int, int, SoftwareKey]) -> list[dict[str, Any]]:
        return _run(records, [(*part, stolen) for part in parts])

    sound = run(lines(), (0, FIRST_END, KEY), (FIRST_END, SECOND_END, SECOND), (SECOND_END, SIZE, THIRD))
    runs = {
        "the old keys' segments and the new one's": (sound, "verified"),
        "without the end, up to what the registry states": (sound[:2], "verified"),
        "a smaller tree, and what the registry states within the next": (
            run(lines(), (0, 6, SECOND), (6, SIZE, THIRD)),
            "verified",
        ),
        "beyond what the registry states, and the new key's after it": (
            run(lines(), (0, FIRST_END, KEY), (FIRST_END, 11, SECOND), (11, SIZE, THIRD)),
            "verified",
        ),
        "a smaller tree alone": (run(lines(), (0, 6, SECOND)), "key_not_valid_at_size"),
        "beyond what the registry states": (
            run(lines(), (0, FIRST_END, KEY), (FIRST_END, 11, SECOND)),
            "key_not_valid_at_size",
        ),
        "a history of the thief's, up to what the registry states": (
            run(forged, (0, FIRST_END, KEY), (FIRST_END, SECOND_END, SECOND)),
            "forked",
        ),
        "the new key's checkpoint under a manifest of the thief's": (
            [*sound[:2], _thieved(sound[2])],
            "key_not_valid_at_size",
        ),
        "a history of the thief's, below it": (run(forged, (0, 8, SECOND)), "key_not_valid_at_size"),
        "a history of the thief's, beyond it": (run(forged, (0, SIZE, SECOND)), "forked"),
    }
    text = _text(SECOND_END)
    other = checkpoint_text(ORIGIN, SECOND_END, Frontier().extend(leaf_hashes(forged[:SECOND_END])).root())
    notes = {
        "the stolen key, over the tree that the registry states": (note(text, SECOND), "verified"),
        "the stolen key, over another tree of that size": (note(other, SECOND), "forked"),
        "the stolen key, over a smaller tree, alone": (note(_text(6), SECOND), "key_not_valid_at_size"),
        "the stolen key, over a larger tree": (note(_text(SIZE), SECOND), "key_not_valid_at_size"),
        "the new key, over the tree that the registry states": (note(text, THIRD), "verified"),
        "the new key, over another tree of that size": (note(other, THIRD), "forked"),
        "the new key, below it": (note(_text(6), THIRD), "key_not_valid_at_size"),
        "the new key, beside the stolen one": (beside(note(text, SECOND), note(text, THIRD)), "verified"),
        "nobody": (note(text, THIEF), "bad_signature"),
    }
    return {
        "keys": [item.as_json() for item in stolen],
        "notes": [{"what": what, "note": made, "verdict": verdict} for what, (made, verdict) in notes.items()],
        "runs": [{"what": what, "segments": run, "verdict": verdict} for what, (run, verdict) in runs.items()],
        "proofs": _proofs(stolen),
        "malformed": [
            {"what": what, "keys": [*(item.as_json() for item in ONCE), made.as_json()]}
            for what, made in _malformed(stolen[-1].payload).items()
        ],
    }


def _thieved(segment: dict[str, Any]) -> dict[str, Any]:
    """Return the segment with another day in its manifest, signed by the stolen key."""
    manifest = parse_envelope(decode_base64(segment["files"]["manifest.dsse.json"])).payload
    made = envelope(SEGMENT_TYPE, _edited(manifest, closed_on="2026-02-09"), SECOND)
    folder = segment["folder"].replace("/2026/02/02/", "/2026/02/09/")
    return {"folder": folder, "files": {**segment["files"], **encoded({"manifest.dsse.json": made.to_bytes()})}}


def _proofs(stolen: Sequence[Envelope]) -> list[dict[str, Any]]:
    tree = RangeTree(Frontier(), leaf_hashes(lines()))

    def bundle(size: int, key: SoftwareKey, others: Mapping[int, str] | None = None) -> dict[str, Any]:
        return envelope(
            PROOF_TYPE,
            json.dumps(
                ProofBundle(
                    origin=ORIGIN,
                    checkpoint=note(_text(size), key),
                    records=(
                        ProvedRecord(seq=3, canonical=lines()[3], inclusion=tuple(inclusion_path(3, size, tree.node))),
                    ),
                    keys=tuple(stolen),
                    consistency=tuple(
                        Consistency(
                            checkpoint=made, path=tuple(consistency_path(min(at, size), max(at, size), tree.node))
                        )
                        for at, made in (others or {}).items()
                    ),
                    assurance="software",
                ).as_json(),
                sort_keys=True,
            ).encode(),
            key,
        ).as_json()

    cases = {
        "the stolen key, at the size that the registry states": (bundle(SECOND_END, SECOND), "verified"),
        "the stolen key, below it, alone": (bundle(6, SECOND), "key_not_valid_at_size"),
        "the stolen key, below it, with a proof to a tree of the new key": (
            bundle(6, SECOND, {SIZE: note(_text(SIZE), THIRD)}),
            "verified",
        ),
        "the stolen key, below it, with a proof to a larger tree of its own": (
            bundle(6, SECOND, {SIZE: note(_text(SIZE), SECOND)}),
            "key_not_valid_at_size",
        ),
        "the stolen key, below it, with a proof to the same tree, of its own": (
            bundle(6, SECOND, {6: note(_text(6), SECOND)}),
            "key_not_valid_at_size",
        ),
        "the new key, with a proof from an older tree of the stolen one": (
            bundle(SIZE, THIRD, {6: note(_text(6), SECOND)}),
            "verified",
        ),
    }
    return [{"what": what, "bundle": made, "verdict": verdict} for what, (made, verdict) in cases.items()]


def _malformed(payload: bytes) -> dict[str, Envelope]:
    def changed(edit: Any) -> Envelope:
        value = json.loads(payload)
        edit(value)
        return _signed(canonical_bytes(value), ROOT)

    def stated_twice(value: Any) -> None:
        ranges = value["keys"][1]["valid"]
        ranges.append({**ranges[0], "root": encode_base64(_root(1))})

    return {
        "two roots for one size": changed(stated_twice),
        "a stolen key's range without a root": changed(lambda value: value["keys"][1]["valid"][0].pop("root")),
        "a root in a schema that knows none": changed(lambda value: value.update(schema="cf-keys/1")),
        "a root for every log at once": changed(lambda value: value["keys"][1]["valid"][0].update(origin=BELOW)),
        "a root without an end": changed(lambda value: value["keys"][1]["valid"][0].update(to_size=None)),
        "a stolen key that is called retired": changed(lambda value: value["keys"][1].update(status="retired")),
        "a key listed twice": changed(lambda value: value["keys"].append(value["keys"][0])),
    }


_Part = tuple[int, int, SoftwareKey, Sequence[Envelope]]


def _run(records: list[bytes], parts: Sequence[_Part]) -> list[dict[str, Any]]:
    """Return segments one behind the other; each part has its records' ends, its key, its registry."""
    previous: Previous | None = None
    made = []
    for first, following, key, registry in parts:
        files = segment_files(
            records[first:following], first=first, following=following, key=key, registry=registry, previous=previous
        )
        payload = parse_envelope(files["manifest.dsse.json"]).payload
        place = json.loads(payload)
        folder = f"{place['closed_on'].replace('-', '/')}/{place['segment']:010}-{first}-{following}"
        made.append({"folder": f"{ORIGIN}/segments/{folder}", "files": encoded(files)})
        previous = Previous(segment=place["segment"], manifest_sha256=manifest_sha256(payload))
    return made


def _text(size: int) -> str:
    return checkpoint_text(ORIGIN, size, _root(size))


def _root(size: int) -> bytes:
    return Frontier().extend(leaf_hashes(lines()[:size])).root()


def _edited(payload: bytes, **members: Any) -> bytes:
    return canonical_bytes({**json.loads(payload), **members})


def _digest(document: Envelope) -> str:
    return sha256(document.payload).hexdigest()
