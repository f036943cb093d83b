"""A room above brings a kind of record of its own: one door, one group with entries, checked and verified alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from ledger_core.errors import (
    ConfigurationError,
    Conflict,
    InsufficientFunds,
    InvalidInput,
)
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.segment import export_segment
from ledger_core.evidence.proofs.prove import Period, verify_selection
from ledger_core.journal.accounts import AccountChange
from ledger_core.kinds import Kind
from ledger_core.log.shapes import shape
from ledger_core.log.verifier import verify_path
from ledger_core.ports import Ask, RecordDraft
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from tests.integration.batches.parcels import PARCEL, parcel, stored
from tests.integration.batches.shared import BOOK, ME, sale

pytestmark = pytest.mark.integration


def test_one_group_holds_records_of_several_kinds_and_a_repetition_finds_all_of_it(room: Runtime) -> None:
    ledger = room.ledger(BOOK)
    group = [sale("g:1"), parcel("p-1"), AccountChange(code="revenue:sales", metadata={"by": "parcel"})]
    answer = ledger.append(group, Ask(actor=ME, key="group"), atomic=True)
    assert [item.kind for item in answer.posted] == ["journal_entry", "parcel", "account"]
    assert [item.seq for item in answer.posted] == list(range(answer.posted[0].seq, answer.posted[0].seq + 3))
    assert all(answer.inclusion(item) is not None for item in answer.posted)
    assert stored(room) == [(answer.posted[1].seq, "p-1")]
    again = ledger.append(group, Ask(actor=ME, key="group"), atomic=True)
    assert again.replayed
    assert [(item.id, item.canonical) for item in again.posted] == [(item.id, item.canonical) for item in answer.posted]
    assert again.checkpoint == answer.checkpoint


@pytest.mark.parametrize("spoiler", ["entry", "parcel"])
def test_a_group_of_several_kinds_falls_together_and_leaves_no_trace(room: Runtime, spoiler: str) -> None:
    ledger = room.ledger(BOOK)
    ledger.append([parcel("taken")], Ask(actor=ME), atomic=True)
    bad, refusal = (sale("x", 99, back=True), InsufficientFunds) if spoiler == "entry" else (parcel("taken"), Conflict)
    group = [sale("a"), parcel("p-1"), AccountChange(code="assets:spare", status="frozen"), bad]
    with pytest.raises(refusal) as caught:
        ledger.append(group, Ask(actor=ME), atomic=True)
    assert caught.value.context["index"] == 3
    assert [number for _, number in stored(room)] == ["taken"]
    # Neither the names, the funds nor the status stayed behind in what this process remembers.
    spare = replace(sale("c"), postings=(replace(sale("c").postings[0], account="assets:spare"), sale("c").postings[1]))
    after = ledger.append([sale("a"), parcel("p-1"), sale("b", 6, back=True), spare], Ask(actor=ME))
    assert [type(item).__name__ for item in after.items] == ["Posted", "Posted", "Declined", "Posted"]
    report = check_book(room, BOOK)
    assert report.sound, report.as_lines()


def test_in_one_batch_each_kind_sees_what_came_before_it(room: Runtime) -> None:
    answer = room.ledger(BOOK).append([parcel("p"), sale("s"), parcel("p"), parcel("q")], Ask(actor=ME))
    assert [type(item).__name__ for item in answer.items] == ["Posted", "Posted", "Declined", "Posted"]


def test_its_shape_is_asked_before_it_is_appended(room: Runtime) -> None:
    ledger = room.ledger(BOOK)
    for body, pointer in (({"number": "p"}, "/body/weight"), ({"number": 7, "weight": 1}, "/body/number")):
        with pytest.raises(InvalidInput) as refused:
            ledger.append([RecordDraft(kind="parcel", body=body)], Ask(actor=ME), atomic=True)
        assert refused.value.pointer == pointer
    assert stored(room) == []


def test_a_check_re_derives_the_rooms_table_and_names_what_differs(room: Runtime) -> None:
    ledger = room.ledger(BOOK)
    ledger.append([parcel("p-1"), parcel("p-2"), parcel("p-3")], Ask(actor=ME))
    report = check_book(room, BOOK)
    assert report.sound
    assert report.counts["parcels"] == 3
    with room.engine.begin() as connection:
        connection.execute(text("update room.parcels set weight = 4 where number = 'p-1'"))
        connection.execute(text("delete from room.parcels where number = 'p-2'"))
        connection.execute(text("insert into room.parcels values ('main', 9999, 'p-9', 1)"))
    found = [(str(finding.code), finding.seq) for finding in check_book(room, BOOK).findings]
    first = stored(room)[0][0]
    assert found == [("projection_mismatch", first), ("projection_mismatch", first + 1), ("projection_mismatch", 9999)]


def test_a_deep_verification_re_derives_the_rows_of_the_records_asked_for_alone(room: Runtime) -> None:
    room.ledger(BOOK).append([parcel(f"p-{number}") for number in range(5)], Ask(actor=ME))
    first = Period(time="recorded_at", start=room.clock() - timedelta(days=1), before=room.clock() + timedelta(days=1))
    seqs = [row["seq"] for row in verify_selection(room, BOOK, selector={"period": first}, deep=True).payload["rows"]]
    changed, other = seqs[-1], seqs[-2]
    with room.engine.begin() as connection:
        connection.execute(text("update room.parcels set weight = 9 where seq = :seq"), {"seq": changed})
        connection.execute(text("insert into room.parcels values ('main', 9999, 'nobody', 1)"))
    found = verify_selection(room, BOOK, selector={"seq_range": (changed, changed + 1)}, deep=True)
    assert [(item["verdict"], item["seq"], item["where"]) for item in found.failures] == [
        ("edited", changed, "room.parcels")
    ]
    assert verify_selection(room, BOOK, selector={"seq_range": (other, other + 1)}, deep=True).verdict == "verified"


def test_its_records_are_exported_and_verify_where_its_shape_is_known(room: Runtime) -> None:
    room.ledger(BOOK).append([sale("s"), parcel("p-1")], Ask(actor=ME))
    export_segment(room, closed_on=date(2026, 11, 23), book=BOOK)
    archive = room.home / "archive"
    assert verify_path(archive, room.trust_path, shapes=room.kinds.shapes).verdict == "verified"
    elsewhere = verify_path(archive, room.trust_path)
    assert [failure.verdict for failure in elsewhere.failures] == ["unknown_schema"]
    assert elsewhere.verdict != "verified"


def test_a_runtime_without_the_room_appends_none_and_a_check_says_that_it_cannot_judge_them(
    room: Runtime, settings: Settings
) -> None:
    room.ledger(BOOK).append([parcel("p-1")], Ask(actor=ME))
    with open_runtime(settings) as bare:
        with pytest.raises(InvalidInput, match="parcel"):
            bare.ledger(BOOK).append([parcel("p-2")], Ask(actor=ME))
        assert {str(finding.code) for finding in check_book(bare, BOOK).findings} == {"unknown_schema"}


def test_two_kinds_of_one_name_are_refused_when_the_runtime_is_opened(settings: Settings) -> None:
    for kinds in ([PARCEL, PARCEL], [Kind(name="export", shape=shape(""))]):
        with pytest.raises(ConfigurationError, match="two kinds"), open_runtime(settings, kinds=kinds):
            pass
