"""The verifier on proofs of single records, and on signed records that break the rules."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from ledger_core.log.dsse import PROOF_TYPE, REPORT_TYPE, SEGMENT_TYPE
from ledger_core.log.merkle import consistency_path, inclusion_path
from ledger_core.log.proof import Consistency, ProvedRecord, TlogProof, parse_bundle, parse_tlog_proof
from ledger_core.log.verifier import verify_path


def verdict_of(log: Any, path: Path, data: bytes | dict[str, Any] | str) -> str:
    text = json.dumps(data) if isinstance(data, dict) else data
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return verify_path(path, log.trust).verdict


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "proof.json"


def tlog_proof(log: Any, seq: int, **changes: Any) -> str:
    tree = log.tree()
    path = tuple(inclusion_path(seq, tree.size, tree.node))
    members = {"index": seq, "path": path, "checkpoint": log.note(), "extra": log.lines[seq], **changes}
    return str(TlogProof(**members))


def test_a_bundle_verifies_bare_and_in_its_envelope(log: Any, file: Path) -> None:
    assert verdict_of(log, file, log.bundle(0, 7, 59).as_json()) == "verified"
    assert verdict_of(log, file, log.proof_envelope(3)) == "verified"
    assert verify_path(file, log.trust).proofs == 1


def test_a_bundle_survives_its_json(log: Any) -> None:
    bundle = log.bundle(1, 2)
    assert parse_bundle(json.loads(json.dumps(bundle.as_json()))) == dataclasses.replace(bundle, extra=None)


def test_edited_bytes_do_not_lead_to_the_signed_root(log: Any, file: Path) -> None:
    bundle = log.bundle(7)
    record = dataclasses.replace(bundle.records[0], canonical=bundle.records[0].canonical.replace(b"ch_7", b"ch_8"))
    assert verdict_of(log, file, dataclasses.replace(bundle, records=(record,)).as_json()) == "edited"


def test_a_record_in_another_place_does_not_verify(log: Any, file: Path) -> None:
    bundle = log.bundle(7)
    record = dataclasses.replace(bundle.records[0], seq=8)
    assert verdict_of(log, file, dataclasses.replace(bundle, records=(record,)).as_json()) == "edited"


def test_a_record_beyond_the_checkpoint_is_unsigned_and_cannot_be_told(log: Any, file: Path) -> None:
    bundle = log.bundle(7, size=40)
    record = ProvedRecord(seq=50, canonical=log.lines[50], inclusion=())
    file.write_text(json.dumps(dataclasses.replace(bundle, records=(record,)).as_json()))
    report = verify_path(file, log.trust)
    assert (report.verdict, report.exit_status) == ("unsigned_pending", 2)


def test_an_older_checkpoint_must_be_contained(log: Any, file: Path) -> None:
    tree = log.tree()
    path = tuple(consistency_path(33, tree.size, tree.node))
    bundle = dataclasses.replace(log.bundle(3), consistency=(Consistency(checkpoint=log.note(33), path=path),))
    assert verdict_of(log, file, bundle.as_json()) == "verified"
    forged = Consistency(checkpoint=log.note(33, root=b"f" * 32), path=path)
    assert verdict_of(log, file, dataclasses.replace(bundle, consistency=(forged,)).as_json()) == "forked"


def test_a_thiefs_keys_are_a_bad_signature(log: Any, file: Path) -> None:
    thief = type(log)(lines=log.lines)
    assert verdict_of(log, file, thief.bundle(3).as_json()) == "bad_signature"
    mixed = dataclasses.replace(thief.bundle(3), keys=tuple(log.registry))
    assert verdict_of(log, file, mixed.as_json()) == "bad_signature"


def test_an_envelope_of_another_type_or_payload_is_a_bad_signature(log: Any, file: Path) -> None:
    payload = json.dumps(log.bundle(3).as_json()).encode()
    assert verdict_of(log, file, log.envelope(SEGMENT_TYPE, payload).to_bytes()) == "bad_signature"
    assert verdict_of(log, file, log.envelope(REPORT_TYPE, payload).to_bytes()) == "unverifiable"
    signed = log.envelope(PROOF_TYPE, payload)
    other = dataclasses.replace(signed, payload=payload.replace(b'"assurance": "software"', b'"assurance": "hsm"'))
    assert verdict_of(log, file, other.to_bytes()) == "bad_signature"


def test_a_tlog_proof_verifies_with_the_keys_beside_it(log: Any, file: Path) -> None:
    text = tlog_proof(log, 7)
    assert parse_tlog_proof(text).index == 7
    assert verdict_of(log, file, text) == "unverifiable"
    file.with_name("keys.jsonl").write_bytes(b"".join(item.to_bytes() + b"\n" for item in log.registry))
    assert verdict_of(log, file, text) == "verified"
    assert verdict_of(log, file, tlog_proof(log, 7, index=8)) == "edited"
    assert verdict_of(log, file, tlog_proof(log, 7, extra=log.lines[8])) == "edited"
    assert verdict_of(log, file, tlog_proof(log, 7, extra=None)) == "unverifiable"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("index 7", "index 07"),
        lambda text: text.replace("index 7", "index -7"),
        lambda text: text.replace("@v1", "@v2"),
        lambda text: text.replace("\n\n", "\n", 1),
        lambda text: text.replace("extra ", "extra !"),
        lambda text: text[: len(text) // 3],
    ],
)
def test_a_malformed_tlog_proof_cannot_be_told(log: Any, file: Path, change: Any) -> None:
    file.with_name("keys.jsonl").write_bytes(b"".join(item.to_bytes() + b"\n" for item in log.registry))
    file.write_text(change(tlog_proof(log, 7)))
    assert verify_path(file, log.trust).exit_status in (1, 2)


@pytest.mark.parametrize(
    "data", [b"{}", b"{", b'{"schema":"cf-proof/1"}', b"\xff", b"{" * 10_000, b'{"payloadType":1}']
)
def test_a_malformed_bundle_cannot_be_told(log: Any, file: Path, data: bytes) -> None:
    file.write_bytes(data)
    assert verify_path(file, log.trust).exit_status == 2


def broken(log: Any, **changes: Any) -> Any:
    """Return the log with one more entry whose body is changed, and a sound one after it."""
    body = json.loads(log.lines[1])["body"]
    log.append({**body, "external_id": "odd", **changes})
    return log.fill(len(log.lines) + 5)


def unbalanced() -> list[dict[str, str]]:
    sides = (("debit", "5"), ("credit", "6"))
    return [{"account": "a", "amount": amount, "currency": "USD", "direction": side} for side, amount in sides]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"postings": unbalanced()}, "unbalanced"),
        ({"postings": unbalanced()[:1]}, "not_canonical"),
        ({"postings": [{**item, "amount": "05"} for item in unbalanced()]}, "not_canonical"),
        ({"postings": [{**item, "amount": 5} for item in unbalanced()]}, "not_canonical"),
        ({"postings": [{**item, "direction": "left"} for item in unbalanced()]}, "not_canonical"),
        ({"metadata": {"a": 1}}, "not_canonical"),
        ({"effective_at": "2026-02-30T00:00:00.000000Z"}, "not_canonical"),
        ({"surprise": "x"}, "unknown_schema"),
    ],
)
def test_a_signed_entry_that_breaks_the_rules_is_named_in_segment_and_proof(
    log: Any, archive: Any, file: Path, changes: dict[str, Any], verdict: str
) -> None:
    odd = len(log.lines)
    broken(log, **changes)
    archive.export(odd, len(log.lines))
    report = verify_path(archive.root, log.trust)
    assert (report.verdict, report.failures[0].seq) == (verdict, odd)
    assert report.exit_status == (2 if verdict == "unknown_schema" else 1)
    assert verdict_of(log, file, log.bundle(odd).as_json()) == verdict


def test_an_unknown_kind_is_unknown_and_never_verified(log: Any, archive: Any) -> None:
    log.append({"actor": {"role": "service", "subject": "x"}}, "prophecy")
    archive.export(60, 61)
    report = verify_path(archive.root, log.trust)
    assert (report.verdict, report.exit_status, report.failures[0].seq) == ("unknown_schema", 2, 60)


def test_bytes_that_were_signed_out_of_form_are_not_canonical(log: Any, archive: Any) -> None:
    log.append(json.loads(log.lines[1])["body"])
    log.lines[-1] = log.lines[-1].replace(b'"seq":60', b'"seq": 60')
    log.fill(65)
    archive.export(60, 65)
    report = verify_path(archive.root, log.trust)
    assert (report.verdict, report.failures[0].seq) == ("not_canonical", 60)
    assert len(report.failures) == 1, report.as_lines()


def test_a_wrong_prev_that_was_signed_is_a_failure_although_the_tree_holds(log: Any, archive: Any) -> None:
    log.append({**json.loads(log.lines[1])["body"], "external_id": "odd"}, prev=b"p" * 32)
    log.fill(65)
    archive.export(60, 65)
    assert verify_path(archive.root, log.trust).exit_status == 1


def test_an_account_in_two_currencies_is_unbalanced(log: Any, archive: Any) -> None:
    body = json.loads(log.lines[1])["body"]
    log.append(body)
    log.append({**body, "postings": [{**item, "currency": "EUR"} for item in body["postings"]]})
    archive.export(60, 62)
    assert verify_path(archive.folders[-1], log.trust).verdict == "unbalanced"


def test_an_account_that_changes_its_currency_between_segments_is_unbalanced(log: Any, archive: Any) -> None:
    body = json.loads(log.lines[1])["body"]
    log.append({**body, "postings": [{**item, "currency": "EUR"} for item in body["postings"]]})
    archive.export(60, 61)
    assert verify_path(archive.root, log.trust).verdict == "unbalanced"
