"""Documents that two readers could read in two ways, more of anything than there is room for, runs that hide one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger_core.errors import InvalidInput
from ledger_core.log import unfolding, verifier, verify_segment
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.dsse import parse_envelope
from ledger_core.log.keys import KeyRecord, Validity, parse_trust, registry_payload
from ledger_core.log.note import PublicKey, encode_base64
from ledger_core.log.proof import open_json
from ledger_core.log.reading import load_json
from ledger_core.log.registry import MAX_DOCUMENT_BYTES, MAX_RANGES, parse_registry
from ledger_core.log.unfolding import SecondProcess
from ledger_core.log.verifier import verify_path


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        '{"a":1}'.encode("utf-16"),
        '{"a":1}'.encode("utf-32-le"),
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\xff"}',
        b"[" * 65 + b"]" * 65,
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b"[" * 950 + b"]" * 950,
        b"[" * 9_000 + b"]" * 9_000,
        b"9" * 5_000,
    ],
    ids=lambda data: repr(data[:20]),
)
def test_what_two_readers_could_take_for_two_documents_is_none(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - which of its kinds is not the point
        load_json(data)
    for parse in (parse_trust, parse_envelope, open_json):
        with pytest.raises(InvalidInput):
            parse(data)


def test_nesting_is_bounded_and_not_below_what_documents_need() -> None:
    assert load_json(b"[" * 64 + b"]" * 64)
    assert load_json(b"[" + b"[1]," * 100 + b"[1]]")


@pytest.mark.parametrize("member", ["checkpoint", "origin", "records", "keys", "consistency", "assurance"])
def test_a_proof_nested_as_deep_as_a_parser_goes_cannot_tell(archive: Any, tmp_path: Path, member: str) -> None:
    value = json.dumps({**archive.log.bundle(3).as_json(), member: "HERE"})
    for levels in (60, 500, 900, 960, 990):
        (tmp_path / "proof.json").write_text(value.replace('"HERE"', "[" * levels + "]" * levels))
        assert verify_path(tmp_path / "proof.json", archive.log.trust).exit_status == 2


MANIFESTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a file listed twice": lambda value: value["objects"].append(value["objects"][0]),
    "a file that no segment has": lambda value: value["objects"].append(
        {**value["objects"][0], "name": "../checkpoint"}
    ),
    "itself": lambda value: value["objects"].append({**value["objects"][0], "name": "manifest.dsse.json"}),
    "a day by its week": lambda value: value.update(closed_on="2026-W05-7"),
    "a day without dashes": lambda value: value.update(closed_on="20260201"),
    "an origin that climbs": lambda value: value.update(origin="../../main"),
    "an origin of one word": lambda value: value.update(origin="main"),
    "a book by a name that none has": lambda value: value.update(book="../main"),
    "another length of the checkpoint": lambda value: value["objects"][1].update(bytes=1),
    "another length of the registry": lambda value: value["objects"][2].update(bytes=2**50),
    "more lines than there are": lambda value: value["objects"][0].update(lines=26),
    "fewer bytes of content than there are": lambda value: value["objects"][0].update(content_bytes=1_000),
    "two totals of one currency": lambda value: value["totals"].insert(0, {**value["totals"][0], "debits": "1"}),
    "no lines": lambda value: value["objects"][0].pop("lines"),
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_signed_manifest_that_says_what_is_not_so_is_edited(archive: Any, what: str) -> None:
    archive.forge(archive.folders[1], edit=MANIFESTS[what])
    report = verify_path(archive.folders[1], archive.log.trust)
    assert (report.verdict, report.exit_status) == ("edited", 1), report.as_lines()


def odd_entry(archive: Any, **changes: Any) -> dict[str, Any]:
    return {**archive.body(), **changes}


@pytest.mark.parametrize("run", [0, 30])
def test_a_posting_without_an_accounts_name_counts_as_any_other(archive: Any, run: int) -> None:
    """Two postings that balance, and a third one beside them that nobody would miss."""
    one = {"account": "a", "amount": "5", "currency": "USD", "direction": "debit"}
    postings = [one, {**one, "direction": "credit"}, {**one, "account": "", "amount": "7"}]
    report = verify_path(archive.append_odd(odd_entry(archive, postings=postings), run=run), archive.log.trust)
    assert (report.verdict, report.failures[0].seq) == ("unbalanced", 60 + run)


@pytest.mark.parametrize("before", [b"x", b" ", b"{}", b"\xff"])
def test_what_stands_before_a_record_in_its_line_is_part_of_it(archive: Any, before: bytes) -> None:
    log = archive.log
    log.fill(90)
    log.lines[-1] = before + log.lines[-1]
    log.fill(120)
    archive.export(60, 120)
    report = verify_path(archive.root, log.trust)
    assert (report.verdict, report.failures[0].seq) == ("not_canonical", 89), report.as_lines()


@pytest.mark.parametrize("odd", ["0000004b-0000-7000-8000-00000000000A", "0000004b00000-700008000-000000000000"])
def test_an_id_that_is_no_uuid_is_found_in_a_run(archive: Any, odd: str) -> None:
    report = verify_path(archive.append_odd(archive.body(), run=30, id=odd), archive.log.trust)
    assert (report.verdict, report.failures[0].seq) == ("not_canonical", 90)


def test_an_account_has_at_most_a_thousand_bytes(archive: Any) -> None:
    for name, verdict in (("é" * 512, "verified"), ("é" * 513, "not_canonical")):
        log = type(archive.log)().fill(30)
        body = archive.body()
        body["postings"][0]["account"] = name
        log.append(body)
        log.fill(60)
        made = type(archive)(root=archive.root.parent / verdict, log=log)
        made.export(0, 60)
        assert verify_path(made.root, log.trust).verdict == verdict


def test_folders_in_folders_as_deep_as_a_path_goes_are_looked_into(archive: Any) -> None:
    made = [archive.root / "a"]
    while len(str(made[-1])) < 3_600:
        made[-1].mkdir()
        made.append(made[-1] / "a")
    made.pop()
    moved = made[-1] / archive.folders[0].name
    try:
        assert verify_path(archive.root, archive.log.trust).verdict == "verified"
        archive.folders[0].rename(moved)
        assert verify_path(archive.root, archive.log.trust).verdict == "verified", "a log is told by its manifests"
    finally:
        if moved.exists():
            moved.rename(archive.folders[0])
        # Whoever clears up after tests calls himself once a level.
        for folder in reversed(made):
            folder.rmdir()


def test_more_logs_than_anybody_has_are_not_all_looked_at(archive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    other = type(archive.log)(origin="ledger.example/test/other", key=archive.log.key, root_key=archive.log.root_key)
    other.append({"actor": {"role": "r", "subject": "s"}, "legal_entity": "x", "name": "other", "origin": other.origin},
                 "book", book="other")  # fmt: skip
    type(archive)(root=archive.root, log=other, book="other").export(0, 1)
    assert verify_path(archive.root, archive.log.trust).verdict == "verified"
    monkeypatch.setattr(verifier, "MAX_LOGS", 1)
    report = verify_path(archive.root, archive.log.trust)
    assert (report.exit_status, len(report.logs)) == (2, 1)


def test_accounts_that_nobody_signed_for_take_no_memory_without_end(
    archive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_segment, "MAX_UNSIGNED_ACCOUNTS", 2)
    assert verify_path(archive.root, archive.log.trust).verdict == "verified"
    for folder in archive.folders:
        (folder / "manifest.dsse.json").unlink()
    report = verify_path(archive.root, archive.log.trust)
    assert report.exit_status == 1
    assert any("nobody signed" in item.detail for item in report.failures)


def test_a_key_of_any_length_is_not_looked_at() -> None:
    with pytest.raises(InvalidInput, match="neither ECDSA"):
        PublicKey(b"\x30" * 2_000)


def stolen(archive: Any, *roots: bytes) -> list[KeyRecord]:
    """Records of one stolen key for each of `roots`, all of them at size 9."""
    return [
        KeyRecord(
            key=type(archive.log)().key.public_key, backend="software", assurance="software", status="compromised",
            purposes=("checkpoint",), valid=(Validity(origin=archive.log.origin, from_size=0, to_size=9, root=root),),
        )
        for root in roots
    ]  # fmt: skip


def document(archive: Any, keys: list[KeyRecord]) -> bytes:
    return registry_payload(
        version=1, previous_sha256="0" * 64, roots=[archive.log.root_key.public_key], threshold=1, keys=keys,
        created_at="2026-01-01T00:00:00.000000Z",
    )  # fmt: skip


def test_a_registry_states_one_root_for_a_size(archive: Any) -> None:
    document(archive, stolen(archive, b"r" * 32, b"r" * 32))
    with pytest.raises(InvalidInput, match="two roots are stated"):
        document(archive, stolen(archive, b"r" * 32, b"s" * 32))
    value = json.loads(document(archive, stolen(archive, b"r" * 32)))
    value["keys"][0]["valid"].append({**value["keys"][0]["valid"][0], "root": encode_base64(b"s" * 32)})
    with pytest.raises(InvalidInput, match="two roots are stated"):
        parse_registry(canonical_bytes(value))


def test_a_registry_that_no_verifier_would_read_is_not_made(archive: Any) -> None:
    (key,) = stolen(archive, b"r" * 32)
    plain = KeyRecord(
        key=key.key, backend="b" * MAX_DOCUMENT_BYTES, assurance="software", status="active", purposes=(), valid=()
    )
    with pytest.raises(InvalidInput, match="at most"):
        document(archive, [plain])
    ranges = tuple(Validity(origin="a", from_size=0, to_size=None) for _ in range(MAX_RANGES + 1))
    many = KeyRecord(key=key.key, backend="b", assurance="software", status="active", purposes=(), valid=ranges)
    with pytest.raises(InvalidInput, match="at most"):
        document(archive, [many])


def test_whoever_signs_at_a_size_whose_root_is_stated_signs_that_root(archive: Any, tmp_path: Path) -> None:
    """Not by records, which would show it, but by a proof of a tree that the new key signed."""
    log = archive.log
    new = type(log)().key
    range_ = Validity(origin=log.origin, from_size=0, to_size=60, root=log.tree(60).frontier.root())
    keys = [
        KeyRecord(key=log.key.public_key, backend="software", assurance="software", status="compromised",
                  purposes=("checkpoint", "dsse"), valid=(range_,)),
        KeyRecord(key=new.public_key, backend="software", assurance="software", status="active",
                  purposes=("checkpoint", "dsse"), valid=(Validity(origin=log.origin, from_size=60, to_size=None),)),
    ]  # fmt: skip
    before = log.registry[-1]
    payload = registry_payload(
        version=2, previous_sha256=verify_segment.sha256(before.payload).hexdigest(),
        roots=[log.root_key.public_key], threshold=1, keys=keys, created_at="2026-03-01T00:00:00.000000Z",
    )  # fmt: skip
    log.registry.append(log.envelope(before.payload_type, payload, key=log.root_key))
    other = type(log)(origin=log.origin, key=new, root_key=log.root_key)
    other.registry = log.registry
    other.fill(59)
    other.append(archive.body(), id="99999999-0000-7000-8000-000000000000")
    for made, verdict in ((log.fill(60), "verified"), (other, "forked")):
        made.key = new
        (tmp_path / "proof.json").write_text(json.dumps(made.bundle(3).as_json()))
        assert verify_path(tmp_path / "proof.json", log.trust).verdict == verdict


def test_two_processes_find_what_one_finds(archive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfolding, "SMALLEST_FILE_BYTES", 0)
    monkeypatch.setattr(unfolding, "cores", lambda: 2)
    started: list[int] = []
    real = SecondProcess._started

    def noted(second: SecondProcess) -> Any:
        process = real(second)
        started.append(process.pid)
        return process

    monkeypatch.setattr(SecondProcess, "_started", noted)
    paths = [archive.folders[1] / name for name in ("records.jsonl.gz", "checkpoint")]
    for damage in (b"", b"\0"):
        for path in paths:
            path.write_bytes(path.read_bytes() + damage)
        found = [verify_path(archive.root, archive.log.trust, processes=count).as_json() for count in (1, 2)]
        assert {**found[0], "verified_at": ""} == {**found[1], "verified_at": ""}
    assert len(started) == 6
    assert len(set(started)) == 2, "one for each verification, whatever the number of files"
    for pid in set(started):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
