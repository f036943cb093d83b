"""A table of forged segments: one forgery a check of the verifier, each with its typed verdict and its reason.

Every forgery starts from a sound archive and is signed with the right key wherever its forger would hold it, so that
nothing but the one check can see it.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ledger_core.log.dsse import KEYS_TYPE, PROOF_TYPE, parse_envelope
from ledger_core.log.keys import registry_payload
from ledger_core.log.note import encode_base64
from ledger_core.log.segment import parse_manifest
from ledger_core.signing.backends.software import SoftwareKey

FORGERIES: dict[str, tuple[Any, ...]] = {}
"""By name: what makes the forgery, its verdict, a piece of its reason, the first seq concerned where one is known."""


def forgery(
    verdict: str, reason: str, seq: int | None = None
) -> Callable[[Callable[[Any], Path]], Callable[[Any], Path]]:
    """Put the function into the table under its own name."""

    def put(make: Callable[[Any], Path]) -> Callable[[Any], Path]:
        FORGERIES[make.__name__] = (make, verdict, reason, seq)
        return make

    return put


# --- manifest, checkpoint and records of one segment: verify_segment.py


@forgery("bad_signature", "the envelope is of type")
def a_manifest_in_an_envelope_of_another_type(archive: Any) -> Path:
    archive.forge(archive.folders[0], payload_type=PROOF_TYPE)
    return archive.folders[0]


@forgery("bad_signature", "no key of registry version 1 signed this")
def a_manifest_signed_by_a_stranger(archive: Any) -> Path:
    archive.forge(archive.folders[0], key=SoftwareKey(ec.generate_private_key(ec.SECP256R1())))
    return archive.folders[0]


@forgery("forked", "it is of ledger.example/test/other, the manifest of ledger.example/test/main")
def a_checkpoint_of_another_log(archive: Any) -> Path:
    other = type(archive.log)(origin="ledger.example/test/other", key=archive.log.key, lines=archive.log.lines)
    archive.forge(archive.folders[0], files={"checkpoint": other.note(20).encode()})
    return archive.folders[0]


@forgery("unverifiable", "the trust file pins nothing for elsewhere.example/test/main")
def a_checkpoint_of_a_log_that_nobody_pinned(archive: Any) -> Path:
    other = type(archive.log)(origin="elsewhere.example/test/main", key=archive.log.key, lines=archive.log.lines)
    archive.forge(archive.folders[0], files={"checkpoint": other.note(20).encode()})
    return archive.folders[0]


@forgery("truncated", "the checkpoint commits to 25 records, the segment ends at 20", 20)
def a_checkpoint_over_more_than_the_segment(archive: Any) -> Path:
    archive.forge(archive.folders[0], files={"checkpoint": archive.log.note(25).encode()})
    return archive.folders[0]


@forgery("unsigned_pending", "the checkpoint commits to 15 of 20 records", 15)
def a_tail_that_no_checkpoint_covers(archive: Any) -> Path:
    archive.forge(archive.folders[0], files={"checkpoint": archive.log.note(15).encode()})
    return archive.folders[0]


@forgery("forked", "checkpoint and manifest sign two roots", 0)
def two_signed_roots(archive: Any) -> Path:
    archive.forge(archive.folders[0], edit=lambda value: value["tree"]["after"].update(root=encode_base64(b"r" * 32)))
    return archive.folders[0]


@forgery("forked", "the tree after does not contain the tree before", 20)
def a_consistency_proof_that_proves_nothing(archive: Any) -> Path:
    junk = [encode_base64(b"c" * 32)]
    archive.forge(archive.folders[1], edit=lambda value: value["tree"].update(consistency=junk))
    return archive.folders[1]


@forgery("edited", "it counts 20 entries, there are 19")
def a_manifest_that_counts_one_entry_more(archive: Any) -> Path:
    archive.forge(archive.folders[0], edit=lambda value: value.update(entries=20))
    return archive.folders[0]


@forgery("edited", "the cutoff 2027-01-01T00:00:00.000000Z, the last record of ")
def a_manifest_whose_last_record_is_of_another_moment(archive: Any) -> Path:
    archive.forge(archive.folders[0], edit=lambda value: value.update(cutoff="2027-01-01T00:00:00.000000Z"))
    return archive.folders[0]


@forgery("unbalanced", "its totals are not those of the records")
def a_manifest_with_other_totals(archive: Any) -> Path:
    archive.forge(archive.folders[0], edit=lambda value: value["totals"][0].update(debits="1", credits="1"))
    return archive.folders[0]


@forgery("forked", "the book was opened as ledger.example/test/elsewhere", 0)
def a_book_that_was_opened_as_another_log(archive: Any) -> Path:
    log = type(archive.log)(key=archive.log.key, root_key=archive.log.root_key)
    log.append({**archive.body(0), "origin": "ledger.example/test/elsewhere"}, "book")
    log.fill(10)
    return type(archive)(root=archive.root / "elsewhere", log=log).export(0, 10)


@forgery("edited", "the file is not the one that the manifest lists")
def the_same_records_packed_anew(archive: Any) -> Path:
    path = archive.folders[0] / "records.jsonl.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=9, mtime=0))
    return archive.folders[0]


@forgery("edited", "the file is not the one that the manifest lists")
def the_same_checkpoint_signed_anew(archive: Any) -> Path:
    """ECDSA draws another nonce: the text is the same, the file is not the one that was listed."""
    (archive.folders[0] / "checkpoint").write_text(archive.log.note(20))
    return archive.folders[0]


def unlisted(archive: Any, name: str) -> Path:
    archive.forge(
        archive.folders[0],
        edit=lambda value: value.update(objects=[item for item in value["objects"] if item["name"] != name]),
    )
    return archive.folders[0]


for _name in ("records.jsonl.gz", "checkpoint", "keys.jsonl"):

    def _make_unlisted(archive: Any, name: str = _name) -> Path:
        return unlisted(archive, name)

    FORGERIES[f"a_manifest_that_does_not_list_{_name}"] = (_make_unlisted, "edited", f"it does not list {_name}")


@forgery("edited", "1 records more than were signed", 20)
def a_record_more_than_was_signed(archive: Any) -> Path:
    content = b"".join(line + b"\n" for line in archive.log.lines[:21])
    archive.forge(archive.folders[0], files={"records.jsonl.gz": gzip.compress(content, mtime=0)})
    return archive.folders[0]


@forgery("edited", "it is not the record that the manifest ends with", 19)
def another_last_record(archive: Any) -> Path:
    archive.forge(archive.folders[0], edit=lambda value: value["chain"].update(last_leaf="1" * 64))
    return archive.folders[0]


# --- one segment against the one before


@forgery("forked", "the first segment does not start from nothing", 0)
def a_first_segment_that_starts_from_something(archive: Any) -> Path:
    archive.forge(archive.folders[0], edit=lambda value: value["chain"].update(first_prev="1" * 64))
    return archive.folders[0]


@forgery("forked", "it starts from another tree than segment 0 ended with", 20)
def a_segment_of_a_fork_behind_a_genuine_one(archive: Any) -> Path:
    fork = type(archive.log)(key=archive.log.key, root_key=archive.log.root_key, lines=archive.log.lines[:10])
    fork.registry = archive.log.registry
    fork.append({**archive.body(10), "description": "never happened"})
    fork.fill(45)
    made = type(archive)(root=archive.root.parent / "fork", log=fork, folders=[archive.folders[0]])
    made.previous = previous_of(archive, 1)
    forged = made.export(20, 45)
    for path in forged.iterdir():
        (archive.folders[1] / path.name).write_bytes(path.read_bytes())
    return archive.root


def previous_of(archive: Any, number: int) -> Any:
    data = (archive.folders[number] / "manifest.dsse.json").read_bytes()
    return parse_manifest(parse_envelope(data).payload).previous


@forgery("forked", "segment 2 holds seq 50 too", 50)
def segments_that_overlap(archive: Any) -> Path:
    archive.log.fill(70)
    archive.export(50, 70)
    return archive.root


@forgery("missing", "no segment holds seq 60 to 64", 60)
def segments_with_a_hole_between(archive: Any) -> Path:
    archive.log.fill(70)
    archive.export(65, 70)
    return archive.root


@forgery("forked", "it was written after another manifest of segment 0 than the one here", 20)
def a_segment_replaced_by_one_written_later(archive: Any) -> Path:
    archive.forge(archive.folders[0], edit=lambda value: value.update(created_at="2026-03-01T00:00:00.000000Z"))
    return archive.root


@forgery("forked", "it was written after another manifest of segment 0 than the one here", 20)
def a_segment_that_names_none_before_it(archive: Any) -> Path:
    archive.forge(archive.folders[1], edit=lambda value: value.update(previous=None))
    return archive.root


# --- whose signature counts: keys.py and note.py


def with_registry(archive: Any, *documents: Any) -> Path:
    """Put the registry of these documents into the last segment, and let its manifest say so."""
    newest = documents[-1].payload
    named = {"version": json.loads(newest)["version"], "sha256": sha256(newest).hexdigest()}
    keys = b"".join(item.to_bytes() + b"\n" for item in documents)
    archive.forge(archive.folders[2], files={"keys.jsonl": keys}, edit=lambda value: value.update(key_registry=named))
    return archive.root


@forgery("key_not_valid_at_size", "which the registry does not let sign ledger.example/test/main at size 20")
def a_key_that_a_later_registry_takes_back(archive: Any) -> Path:
    log = archive.log
    return with_registry(archive, *log.registry, log.add_registry([(log.key, 45, None)]))


@forgery("bad_signature", "no key of registry version 1 signed this")
def a_checkpoint_by_a_key_for_envelopes(archive: Any) -> Path:
    twin = archive.log.add_registry(version=1, purposes=["dsse"])
    return with_registry_alone(archive, twin)


@forgery("bad_signature", "no key of registry version 1 signed this")
def a_manifest_by_a_key_for_checkpoints(archive: Any) -> Path:
    twin = archive.log.add_registry(version=1, purposes=["checkpoint"])
    return with_registry_alone(archive, twin)


def with_registry_alone(archive: Any, document: Any) -> Path:
    with_registry(archive, document)
    return archive.folders[2]


@forgery("bad_signature", "no key registry document is signed by the pinned roots")
def a_first_registry_below_its_own_threshold(archive: Any) -> Path:
    log = archive.log
    second = SoftwareKey(ec.generate_private_key(ec.SECP256R1()))
    value = json.loads(log.registry[0].payload)
    payload = registry_payload(
        version=1,
        previous_sha256=value["prev_sha256"],
        roots=[log.root_key.public_key, second.public_key],
        threshold=2,
        keys=[],
        created_at=value["created_at"],
    )
    return with_registry_alone(archive, log.envelope(KEYS_TYPE, payload, key=log.root_key))


@forgery("bad_signature", "no key of registry version 1 signed this")
def a_checkpoint_with_a_bad_line_of_its_key_beside_the_good_one(archive: Any) -> Path:
    good, bad = archive.log.note(20), archive.log.note(19)
    archive.forge(archive.folders[0], files={"checkpoint": (good + bad.rpartition("\n\n")[2]).encode()})
    return archive.folders[0]


@forgery("bad_signature", "no key of registry version 1 signed this")
def a_checkpoint_under_the_hash_of_another_key(archive: Any) -> Path:
    note = archive.log.note(20)
    head, _, data = note.strip("\n").rpartition(" ")
    signature = base64.b64decode(data)
    archive.forge(
        archive.folders[0], files={"checkpoint": f"{head} {encode_base64(b'hash' + signature[4:])}\n".encode()}
    )
    return archive.folders[0]


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_segment_gets_its_verdict_for_its_reason(archive: Any, forge_one: Any, name: str) -> None:
    forge_one(archive, *FORGERIES[name])
