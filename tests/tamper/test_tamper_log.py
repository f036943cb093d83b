"""A superuser goes for the signed records themselves: edits, deletions, insertions, rewrites, old states."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from ledger_core.actor import Actor
from ledger_core.evidence.check.checker import CheckReport, Code
from ledger_core.journal.accounts import AccountChange
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.note import SignedNote, checkpoint_text
from ledger_core.ports import Ask

pytestmark = pytest.mark.tamper

RECORDS = "ledger.records"


def found(report: CheckReport, code: Code) -> list[Any]:
    assert report.exit_status == 1
    matching = [item for item in report.findings if item.code == code]
    assert matching, [str(item) for item in report.findings]
    return matching


def canonical(attacked: Any, seq: int) -> bytes:
    return bytes(attacked.rows("select canonical from ledger.records where seq = :seq", seq=seq)[0][0])


def raised(data: bytes, amount: int) -> bytes:
    """Return the record with a debit and a credit raised: canonical and balanced, like a careful forger's."""
    record = orjson.loads(data)
    postings = record["body"]["postings"]
    for side in ("debit", "credit"):
        posting = next(item for item in postings if item["direction"] == side)
        posting["amount"] = str(int(posting["amount"]) + amount)
    return canonical_bytes(record)


def forge(attacked: Any, first: int, records: Sequence[bytes]) -> None:
    """Replace the log from seq `first` on by `records`: prev, seq, leaf hashes, head and tiles all made to fit."""
    before = [bytes(row[0]) for row in attacked.rows("select leaf_hash from ledger.records order by seq")][:first]
    leaves = list(before)
    attacked.sql("delete from ledger.records where seq >= :first", first=first)
    rows = []
    for seq, data in enumerate(records, first):
        record = orjson.loads(data)
        record["seq"], record["prev"] = seq, leaves[-1].hex()
        data = canonical_bytes(record)
        leaves.append(leaf_hash(data))
        rows.append({"seq": seq, "kind": record["kind"], "at": record["recorded_at"], "leaf": leaves[-1], "data": data})
    attacked.sql_many(
        "insert into ledger.records values ('main', :seq, :kind, cast(:at as timestamptz), :leaf, :data)", rows
    )
    frontier = Frontier().extend(leaves)
    attacked.sql(
        "update ledger.log_head set size = :size, signed_size = least(signed_size, :size), last_leaf = :leaf,"
        " frontier = :frontier, last_recorded_at = (select max(recorded_at) from ledger.records)",
        size=len(leaves), leaf=leaves[-1], frontier=frontier.to_bytes(),
    )  # fmt: skip
    attacked.sql(
        "update ledger.tiles set hashes = :hashes, root = :root where level = 0 and n = 0",
        hashes=b"".join(leaves[:256]), root=Frontier().extend(leaves[:256]).root(),
    )  # fmt: skip


def forge_checkpoints(attacked: Any, *, drop_from: int | None = None) -> None:
    """Make the stored checkpoints agree with the stored records; without the key, only their signatures cannot."""
    if drop_from is not None:
        attacked.sql("delete from ledger.checkpoints where size >= :size", size=drop_from)
        attacked.sql("update ledger.log_head set signed_size = (select coalesce(max(size), 0) from ledger.checkpoints)")
        return
    leaves = [bytes(row[0]) for row in attacked.rows("select leaf_hash from ledger.records order by seq")]
    forged = []
    for size, origin in attacked.rows(
        "select point.size, head.origin from ledger.checkpoints as point join ledger.log_head as head using (book)"
    ):
        frontier = Frontier().extend(leaves[:size])
        note = str(SignedNote(checkpoint_text(origin, size, frontier.root())))
        forged.append({"size": size, "root": frontier.root(), "frontier": frontier.to_bytes(), "note": note})
    attacked.sql_many(
        "update ledger.checkpoints set root = :root, frontier = :frontier, note = :note where size = :size", forged
    )


def test_one_byte_of_a_record_changed(attacked) -> None:
    attacked.sql(
        "update ledger.records set canonical = set_byte(canonical, 40, get_byte(canonical, 40) # 1) where seq = 50"
    )
    report = attacked.check()
    edited = found(report, Code.RECORDS_EDITED)
    assert {item.seq for item in edited} == {50}
    assert all(item.seq == report.size or item.seq >= 50 for item in found(report, Code.ROOT_MISMATCH))


def test_an_amount_in_the_bytes_changed(attacked) -> None:
    attacked.sql("update ledger.records set canonical = :data where seq = 50", data=raised(canonical(attacked, 50), 1))
    report = attacked.check()
    assert [item.seq for item in found(report, Code.RECORDS_EDITED)] == [50]
    assert found(report, Code.PREV_MISMATCH)[0].seq == 51
    assert found(report, Code.POSTINGS_MISMATCH)[0].seq == 50
    assert "last agreement is at size" in found(report, Code.ROOT_MISMATCH)[0].detail


def test_bytes_and_leaf_hash_changed_together(attacked) -> None:
    data = raised(canonical(attacked, 50), 1)
    attacked.sql(
        "update ledger.records set canonical = :data, leaf_hash = :leaf where seq = 50", data=data, leaf=leaf_hash(data)
    )
    report = attacked.check()
    assert found(report, Code.PREV_MISMATCH)[0].seq == 51
    assert found(report, Code.ROOT_MISMATCH)
    assert found(report, Code.TILES_MISMATCH)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("leaf_hash = set_byte(leaf_hash, 0, get_byte(leaf_hash, 0) # 1)", "hash to"),
        ("kind = 'account'", "kind is 'account'"),
        ("recorded_at = recorded_at + interval '1 microsecond'", "recorded_at is"),
        ("recorded_at = 'infinity'", "recorded_at is"),
        ("canonical = decode('7b7d', 'hex'), leaf_hash = leaf_hash", "no record"),
        ("canonical = decode('ff00ff', 'hex')", "no record"),
        ("canonical = canonical || decode('20', 'hex')", "no record"),
    ],
)
def test_a_column_of_a_record_changed(attacked, statement: str, says: str) -> None:
    attacked.sql(f"update ledger.records set {statement} where seq = 50")
    edited = found(attacked.check(), Code.RECORDS_EDITED)
    assert {item.seq for item in edited} == {50}
    assert any(says in item.detail for item in edited)


def test_a_record_of_a_schema_that_does_not_exist_yet(attacked) -> None:
    record = orjson.loads(canonical(attacked, 50))
    record["schema"] = "cf/9"
    attacked.sql("update ledger.records set canonical = :data where seq = 50", data=canonical_bytes(record))
    assert found(attacked.check(), Code.UNKNOWN_SCHEMA)[0].seq == 50


def test_a_body_of_another_shape_signed_or_not(attacked) -> None:
    record = orjson.loads(canonical(attacked, 50))
    record["body"]["postings"] = "none"
    attacked.sql("update ledger.records set canonical = :data where seq = 50", data=canonical_bytes(record))
    assert found(attacked.check(), Code.UNKNOWN_SCHEMA)[0].seq == 50


def test_an_unbalanced_entry_in_the_bytes(attacked) -> None:
    record = orjson.loads(canonical(attacked, 50))
    record["body"]["postings"][0]["amount"] += "0"
    attacked.sql("update ledger.records set canonical = :data where seq = 50", data=canonical_bytes(record))
    assert found(attacked.check(), Code.ENTRY_UNBALANCED)[0].seq == 50


def test_the_last_record_deleted(attacked) -> None:
    last = attacked.check().size - 1
    assert attacked.sql("delete from ledger.records where seq = :seq", seq=last) == 1
    missing = found(attacked.check(), Code.RECORD_MISSING)
    assert {item.table for item in missing} == {"ledger.log_head", "ledger.checkpoints"}
    assert any(item.seq == last for item in missing)


def test_the_last_record_deleted_and_every_trace_of_it(attacked) -> None:
    size = attacked.check().size
    records = [canonical(attacked, size - 2)]
    for table in ("records", "entries", "postings", "idempotency"):
        column = "first_seq" if table == "idempotency" else "seq"
        attacked.sql(f"delete from ledger.{table} where {column} = :seq", seq=size - 1)
    forge(attacked, size - 2, records)
    forge_checkpoints(attacked, drop_from=size)
    report = attacked.check()
    behind = found(report, Code.BEHIND_PROXY)
    assert [item.seq for item in behind] == [size - 1]
    assert f"signed {size} records, the database holds {size - 1}" in behind[0].detail
    assert not {Code.RECORD_MISSING, Code.HEAD_MISMATCH, Code.ROOT_MISMATCH} & report.codes


def test_a_record_in_the_middle_deleted(attacked) -> None:
    attacked.sql("delete from ledger.records where seq in (50, 51, 70)")
    gaps = found(attacked.check(), Code.SEQ_GAP)
    assert [item.seq for item in gaps] == [50, 70]
    assert "seqs 50 to 51 are missing" in gaps[0].detail


def test_two_records_swapped(attacked) -> None:
    first, second = canonical(attacked, 50), canonical(attacked, 60)
    for seq, data in ((50, second), (60, first)):
        attacked.sql(
            "update ledger.records set canonical = :data, leaf_hash = :leaf where seq = :seq",
            data=data, leaf=leaf_hash(data), seq=seq,
        )  # fmt: skip
    report = attacked.check()
    misplaced = found(report, Code.RECORD_MISPLACED)
    assert [(item.seq, item.detail) for item in misplaced] == [
        (50, "the bytes are those of seq 60"),
        (60, "the bytes are those of seq 50"),
    ]
    assert found(report, Code.TIME_NOT_MONOTONE)


def test_a_record_inserted_in_the_middle(attacked) -> None:
    size = attacked.check().size
    inserted = raised(canonical(attacked, 50), 1)
    attacked.sql("update ledger.records set seq = seq + 1000001 where seq >= 51")
    attacked.sql("update ledger.records set seq = seq - 1000000 where seq > 1000000")
    attacked.sql(
        "insert into ledger.records select book, 51, kind, recorded_at, :leaf, :data"
        " from ledger.records where seq = 50",
        leaf=leaf_hash(inserted), data=inserted,
    )  # fmt: skip
    report = attacked.check()
    assert found(report, Code.RECORD_MISPLACED)[0].seq == 51
    assert found(report, Code.RECORD_UNACCOUNTED)[0].seq == size


def test_a_record_added_behind_the_head(attacked) -> None:
    size = attacked.check().size
    attacked.sql(
        "insert into ledger.records select book, :size, kind, recorded_at, leaf_hash, canonical"
        " from ledger.records where seq = 50", size=size,
    )  # fmt: skip
    report = attacked.check()
    assert found(report, Code.RECORD_UNACCOUNTED)[0].seq == size
    assert found(report, Code.RECORD_MISPLACED)[0].seq == size


def test_a_record_of_another_book(attacked) -> None:
    record = orjson.loads(canonical(attacked, 50))
    record["book"] = "other"
    attacked.sql("update ledger.records set canonical = :data where seq = 50", data=canonical_bytes(record))
    assert "book other" in found(attacked.check(), Code.RECORD_MISPLACED)[0].detail


def test_history_rewritten_and_rehashed_without_the_key(attacked) -> None:
    size = attacked.check().size
    records = [canonical(attacked, seq) for seq in range(50, size)]
    forge(attacked, 50, [raised(records[0], 1), *records[1:]])
    forge_checkpoints(attacked)
    report = attacked.check()
    assert found(report, Code.SIGNATURE_INVALID)
    forked = found(report, Code.FORKED)
    assert forked[0].table == "archived segment 1"
    assert "so the change lies in seq" in forked[0].detail
    assert not {Code.RECORDS_EDITED, Code.PREV_MISMATCH, Code.ROOT_MISMATCH, Code.HEAD_MISMATCH} & report.codes


def test_the_tail_rewritten_and_its_checkpoints_removed(attacked) -> None:
    """Everything in the database agrees with everything else in it; the proxy's last checkpoint does not."""
    size = attacked.check().size
    forge(attacked, size - 1, [raised(canonical(attacked, size - 1), 1)])
    forge_checkpoints(attacked, drop_from=size)
    raise_rows = (
        "with touched as (update ledger.postings as posting set amount_minor = amount_minor + 1 where seq = :seq"
        " and line = (select min(line) from ledger.postings where seq = :seq and direction = posting.direction)"
        " returning account_id, direction)"
        " update ledger.balances as balance set debits = debits + (direction = 'debit')::int,"
        " credits = credits + (direction = 'credit')::int from touched where touched.account_id = balance.account_id"
    )
    assert attacked.sql(raise_rows, seq=size - 1) == 2
    (finding,) = attacked.check().findings
    assert (finding.code, finding.table, finding.seq) == (Code.FORKED, "signing proxy", size - 1)


def test_two_writers_on_two_copies_and_the_second_does_not_ask_the_proxy(attacked_clone, own_home: Path) -> None:
    with attacked_clone(home=own_home) as first, attacked_clone(home=own_home) as second:
        size = second.check().size
        posted = first.runtime.ledger("main").append(
            [AccountChange(code="assets:bank:jpy", metadata={"role": "first"})],
            Ask(actor=Actor(subject="first")),
            atomic=True,
        )
        assert posted.posted[0].seq == size
        forge(second, size, [raised(canonical(second, 50), 1), raised(canonical(second, 51), 1)])
        (forked,) = found(second.check(), Code.FORKED)
        assert (forked.table, forked.seq) == ("signing proxy", size)
        assert first.check().sound


@pytest.mark.parametrize(
    ("note", "says"),
    [
        ("replace(note, '— ', '— not-')", "no key of registry"),
        ("'nonsense'", ""),
        ("split_part(note, E'\\n\\n', 1) || E'\\n\\n'", "signature lines"),
    ],
)
def test_a_checkpoint_without_a_valid_signature(attacked, note: str, says: str) -> None:
    attacked.sql(f"update ledger.checkpoints set note = {note} where size = 1")
    invalid = found(attacked.check(), Code.SIGNATURE_INVALID)
    assert [item.seq for item in invalid] == [0]
    assert says in invalid[0].detail
