"""A table of forged segments: one forgery a check of the verifier, each with its typed verdict and its reason.

Every forgery starts from a sound archive and is signed with the right key wherever its forger would hold it, so that
nothing but the one check can see it. The reason is compared too: another check that happens to fail as well is not
this one.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ledger_core.log.dsse import KEYS_TYPE, PROOF_TYPE
from ledger_core.log.keys import registry_payload
from ledger_core.log.merkle import leaf_hash
from ledger_core.log.note import encode_base64
from ledger_core.log.record import format_time
from ledger_core.log.verifier import verify_path
from ledger_core.signing.backends.software import SoftwareKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    """`make` forges in the archive and returns the path to verify."""

    make: Callable[[Any], Path]
    verdict: str
    reason: str
    seq: int | None = None


FORGERIES: dict[str, Forgery] = {}


def forgery(
    verdict: str, reason: str, seq: int | None = None
) -> Callable[[Callable[[Any], Path]], Callable[[Any], Path]]:
    """Put the function into the table under its own name."""

    def put(make: Callable[[Any], Path]) -> Callable[[Any], Path]:
        FORGERIES[make.__name__] = Forgery(make=make, verdict=verdict, reason=reason, seq=seq)
        return make

    return put


def body_of(archive: Any, seq: int = 1) -> dict[str, Any]:
    return json.loads(archive.log.lines[seq])["body"]


def posting(side: str, amount: str, currency: str = "USD", account: str | None = None) -> dict[str, str]:
    return {"account": account or f"{side}:{currency}", "amount": amount, "currency": currency, "direction": side}


def append(archive: Any, body: dict[str, Any], kind: str = "journal_entry", *, run: int = 0, **members: Any) -> Path:
    """Append one odd record, `run` sound ones on each side so that whole batches are compared, and export them."""
    log, first = archive.log, len(archive.log.lines)
    log.fill(first + run)
    log.append(body, kind, **members)
    log.fill(first + 2 * run + 1)
    archive.export(first, len(log.lines))
    return archive.root


RUN = 20
"""Records on each side of an odd one: enough for the quick way on both."""


# --- the order of records: stream.py


@forgery("not_canonical", "recorded_at is not later", 61)
def a_record_as_late_as_the_one_before_read_one_by_one(archive: Any) -> Path:
    log = archive.log
    log.append(body_of(archive))
    log.append(body_of(archive), recorded_at=json.loads(log.lines[60])["recorded_at"])
    archive.export(60, 62)
    return archive.root


def time_of(archive: Any, seq: int) -> str:
    from datetime import timedelta

    from_start = json.loads(archive.log.lines[1])["recorded_at"]
    from ledger_core.log.record import parse_time

    return format_time(parse_time(from_start) + timedelta(seconds=seq - 1))


@forgery("not_canonical", "recorded_at is not later", 80)
def a_record_as_late_as_the_one_before_amid_a_batch(archive: Any) -> Path:
    return append(archive, body_of(archive), run=RUN, recorded_at=time_of(archive, 79))


@forgery("not_canonical", "recorded_at is not later", 60)
def a_batch_that_begins_before_the_last_record_of_the_segment_before(archive: Any) -> Path:
    log = archive.log
    log.append(body_of(archive), recorded_at=time_of(archive, 59))
    log.fill(80)
    archive.export(60, 80)
    return archive.root


@forgery("not_canonical", "a record of book other among those of main", 80)
def a_record_of_another_book(archive: Any) -> Path:
    return append(archive, body_of(archive), run=RUN, book="other")


@forgery("not_canonical", "the record at seq 0, and no other, opens the book", 80)
def a_second_opening_of_the_book(archive: Any) -> Path:
    return append(archive, body_of(archive, 0), "book", run=RUN)


@forgery("not_canonical", "the record at seq 0, and no other, opens the book", 0)
def a_log_that_nobody_opened(archive: Any) -> Path:
    log = type(archive.log)(key=archive.log.key, root_key=archive.log.root_key)
    log.append(body_of(archive))
    log.fill(10)
    return type(archive)(root=archive.root / "unopened", log=log).export(0, 10)


@forgery("edited", "the record in this place says that it is seq 85", 80)
def a_wrong_seq_amid_a_batch(archive: Any) -> Path:
    return append(archive, body_of(archive), run=RUN, seq=85)


@forgery("edited", "the record in this place says that it is seq 65", 60)
def a_wrong_seq_of_a_record_read_alone(archive: Any) -> Path:
    return append(archive, body_of(archive), seq=65)


@forgery("edited", "names other bytes as its predecessor")
def a_wrong_predecessor_amid_a_batch(archive: Any) -> Path:
    return append(archive, body_of(archive), run=RUN, prev=b"p" * 32)


# --- the accounting of entries: quick.py and shapes.py


def unbalanced_postings() -> dict[str, list[dict[str, str]]]:
    """Numbers that balance over currencies that do not, with the odd currency in each place."""
    return {
        "two_currencies_in_two_postings": [posting("debit", "5"), posting("credit", "5", "EUR")],
        "the_first_of_three_of_another_currency": [
            posting("debit", "6", "EUR"), posting("debit", "4"), posting("credit", "10"),
        ],
        "the_second_of_three_of_another_currency": [
            posting("debit", "6"), posting("debit", "4", "EUR"), posting("credit", "10"),
        ],
        "the_third_of_three_of_another_currency": [
            posting("debit", "6"), posting("debit", "4"), posting("credit", "10", "EUR"),
        ],
        "the_last_of_four_of_another_currency": [
            posting("debit", "6"), posting("debit", "4"), posting("credit", "7"), posting("credit", "3", "EUR"),
        ],
        "two_debits_of_one_amount": [posting("debit", "5"), posting("debit", "5", account="x")],
        "three_postings_off_by_one": [posting("debit", "6"), posting("debit", "4"), posting("credit", "11")],
    }  # fmt: skip


for _name, _postings in unbalanced_postings().items():
    for _run, _how in ((RUN, "amid_a_batch"), (0, "read_alone")):

        def _make(archive: Any, postings: Any = _postings, run: int = _run) -> Path:
            return append(archive, {**body_of(archive), "postings": postings}, run=run)

        FORGERIES[f"{_name}_{_how}"] = Forgery(
            make=_make, verdict="unbalanced", reason="debits and credits differ by", seq=60 + _run
        )


def _with_metadata(archive: Any, metadata: bytes) -> Path:
    """An entry whose metadata are these bytes, signed out of form, amid a batch."""
    log = archive.log
    log.fill(80)
    log.append({**body_of(archive), "metadata": {}})
    log.lines[-1] = log.lines[-1].replace(b'"metadata":{}', b'"metadata":{' + metadata + b"}")
    log.fill(101)
    archive.export(60, 101)
    return archive.root


for _name, _metadata in {
    "a_name_of_metadata_twice": b'"a":"1","a":"2"',
    "names_of_metadata_out_of_order": b'"b":"1","a":"2"',
    "the_third_name_of_metadata_twice": b'"a":"1","b":"2","b":"3"',
    "the_last_names_of_metadata_out_of_order": b'"a":"1","b":"2","d":"3","c":"4"',
}.items():

    def _make_metadata(archive: Any, metadata: bytes = _metadata) -> Path:
        return _with_metadata(archive, metadata)

    FORGERIES[_name] = Forgery(make=_make_metadata, verdict="not_canonical", reason="not in its canonical form", seq=80)


def amounts(archive: Any, amount: str) -> Path:
    return append(
        archive, {**body_of(archive), "postings": [posting("debit", amount), posting("credit", amount)]}, run=RUN
    )


@forgery("not_canonical", "is more than an amount can be", 80)
def an_amount_beyond_what_64_bits_hold(archive: Any) -> Path:
    return amounts(archive, str(2**63))


@forgery("not_canonical", "is not an amount", 80)
def an_amount_of_nothing(archive: Any) -> Path:
    return amounts(archive, "0")


@forgery("not_canonical", "an entry has 2 to 500 postings", 80)
def too_many_postings(archive: Any) -> Path:
    one = [posting("debit", "1"), posting("credit", "1")]
    return append(archive, {**body_of(archive), "postings": one * 251}, run=RUN)


@forgery("not_canonical", "is not a day of the calendar", 80)
def an_entry_on_no_day_of_the_calendar(archive: Any) -> Path:
    return append(archive, {**body_of(archive), "effective_at": "2026-02-30T08:00:00.000000Z"}, run=RUN)


EXPORT = {
    "actor": {"role": "service", "subject": "tests"},
    "closed_on": "2026-01-31",
    "first_seq": 0,
    "manifest_sha256": "0" * 64,
    "next_seq": 20,
    "segment": 0,
    "uri": "file:///archive",
}

for _name, _change, _reason in (
    ("no_day", {"closed_on": "2026-02-30"}, "a date such as"),
    ("no_number", {"segment": "0"}, "a whole number from 0"),
    ("a_negative_seq", {"first_seq": -1}, "a whole number from 0"),
    ("a_truth_for_a_number", {"next_seq": True}, "a whole number from 0"),
    ("no_digest", {"manifest_sha256": "0" * 63}, "64 lower-case hexadecimal digits"),
    ("a_digest_in_upper_case", {"manifest_sha256": "A" * 64}, "64 lower-case hexadecimal digits"),
    ("no_address", {"uri": 1}, "text is expected"),
):

    def _make_export(archive: Any, change: Any = _change) -> Path:
        return append(archive, {**EXPORT, **change}, "export")

    FORGERIES[f"an_export_with_{_name}"] = Forgery(make=_make_export, verdict="not_canonical", reason=_reason, seq=60)


@forgery("not_canonical", "the manifest is an object", 60)
def a_run_without_its_manifest(archive: Any) -> Path:
    return append(archive, {"actor": EXPORT["actor"], "manifest": []}, "reconciliation_run")


@forgery("not_canonical", "an actor has a role and a subject", 60)
def a_record_of_nobody(archive: Any) -> Path:
    return append(archive, {"actor": {"role": "service"}, "manifest": {}}, "reconciliation_run")


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


@forgery("unbalanced", "its totals are not those of the records")
def a_manifest_with_other_totals(archive: Any) -> Path:
    archive.forge(archive.folders[0], edit=lambda value: value["totals"][0].update(debits="1", credits="1"))
    return archive.folders[0]


@forgery("forked", "the book was opened as ledger.example/test/elsewhere", 0)
def a_book_that_was_opened_as_another_log(archive: Any) -> Path:
    log = type(archive.log)(key=archive.log.key, root_key=archive.log.root_key)
    log.append({**body_of(archive, 0), "origin": "ledger.example/test/elsewhere"}, "book")
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

    FORGERIES[f"a_manifest_that_does_not_list_{_name}"] = Forgery(
        make=_make_unlisted, verdict="edited", reason=f"it does not list {_name}"
    )


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
    fork.append({**body_of(archive, 10), "description": "never happened"})
    fork.fill(45)
    made = type(archive)(root=archive.root.parent / "fork", log=fork, folders=[archive.folders[0]])
    made.previous = previous_of(archive, 1)
    forged = made.export(20, 45)
    for path in forged.iterdir():
        (archive.folders[1] / path.name).write_bytes(path.read_bytes())
    return archive.root


def previous_of(archive: Any, number: int) -> Any:
    from ledger_core.log.dsse import parse_envelope
    from ledger_core.log.segment import parse_manifest

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
    from hashlib import sha256

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
    return with_registry_alone(archive, twin, "checkpoint")


@forgery("bad_signature", "no key of registry version 1 signed this")
def a_manifest_by_a_key_for_checkpoints(archive: Any) -> Path:
    twin = archive.log.add_registry(version=1, purposes=["checkpoint"])
    return with_registry_alone(archive, twin, "manifest.dsse.json")


def with_registry_alone(archive: Any, document: Any, _culprit: str) -> Path:
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
    return with_registry_alone(archive, log.envelope(KEYS_TYPE, payload, key=log.root_key), "keys.jsonl")


@forgery("bad_signature", "no key of registry version 1 signed this")
def a_checkpoint_with_a_bad_line_of_its_key_beside_the_good_one(archive: Any) -> Path:
    good, bad = archive.log.note(20), archive.log.note(19)
    archive.forge(archive.folders[0], files={"checkpoint": (good + bad.rpartition("\n\n")[2]).encode()})
    return archive.folders[0]


@forgery("bad_signature", "no key of registry version 1 signed this")
def a_checkpoint_under_the_hash_of_another_key(archive: Any) -> Path:
    note = archive.log.note(20)
    head, _, data = note.strip("\n").rpartition(" ")
    import base64

    signature = base64.b64decode(data)
    archive.forge(
        archive.folders[0], files={"checkpoint": f"{head} {encode_base64(b'hash' + signature[4:])}\n".encode()}
    )
    return archive.folders[0]


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_segment_gets_its_verdict_for_its_reason(archive: Any, name: str) -> None:
    forged = FORGERIES[name]
    path = forged.make(archive)
    report = verify_path(path, archive.log.trust)
    told = [item for item in report.failures if forged.reason in item.detail]
    assert told, report.as_lines()
    assert told[0].verdict == forged.verdict
    if forged.seq is not None:
        assert told[0].seq == forged.seq
    assert report.exit_status == (2 if report.verdict in ("unsigned_pending", "unverifiable") else 1)


def test_the_archive_that_is_forged_is_sound(archive: Any) -> None:
    archive.forge(archive.folders[2])
    assert verify_path(archive.root, archive.log.trust).verdict == "verified"
    append(archive, body_of(archive), run=RUN)
    assert verify_path(archive.root, archive.log.trust).verdict == "verified"
    append(archive, EXPORT, "export")
    assert verify_path(archive.root, archive.log.trust).verdict == "verified"
    assert leaf_hash(archive.log.lines[-1])
