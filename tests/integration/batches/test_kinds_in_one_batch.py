"""Kinds of several rooms in one batch: each sees what stands before it, and what falls takes nobody with it."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import psycopg
import pytest

from ledger_core.book.kinds.journal_entry import JournalEntry
from ledger_core.book.posting.head import lock_head
from ledger_core.book.posting.plan import PlannedBatch
from ledger_core.book.shaping import requests_of
from ledger_core.errors import (
    Conflict,
    InsufficientFunds,
    IntegrityError,
    UnknownAccount,
)
from ledger_core.evidence.check.checker import check_book
from ledger_core.journal.accounts import AccountChange, account_draft
from ledger_core.ports import Ask, Declined, Posted, RecordDraft, Unchanged
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from tests.integration.batches.parcels import PARCEL, ParcelTaken, parcel, stored
from tests.integration.batches.shared import BOOK, ME, kinds_of, on, one_batch, sale

pytestmark = pytest.mark.integration


NEW = account_draft(code="assets:new", type="asset", currency="USD", overdraft="forbidden")


def test_an_account_is_opened_and_posted_to_in_one_group(room: Runtime) -> None:
    ledger = room.ledger(BOOK)
    group = [NEW, on("assets:new", sale("n:1")), parcel("p"), AccountChange(code="assets:new", status="frozen")]
    answer = ledger.append(group, Ask(actor=ME, key="k"), atomic=True)
    assert [(item.kind, item.action) for item in answer.posted] == [
        ("account", "created"), ("journal_entry", None), ("parcel", None), ("account", "frozen"),
    ]  # fmt: skip
    assert [item.id for item in ledger.append(group, Ask(actor=ME, key="k"), atomic=True).posted] == [
        item.id for item in answer.posted
    ]
    assert check_book(room, BOOK).sound


def test_an_account_opened_in_a_group_that_fell_was_never_there(room: Runtime) -> None:
    ledger = room.ledger(BOOK)
    drawn = on("assets:new", sale("n:2", 6, back=True))
    with pytest.raises(InsufficientFunds) as caught:
        ledger.append([NEW, on("assets:new", sale("n:1")), drawn], Ask(actor=ME), atomic=True)
    assert caught.value.context["index"] == 2
    with pytest.raises(UnknownAccount):
        ledger.append([on("assets:new", sale("n:1"))], Ask(actor=ME), atomic=True)
    assert kinds_of(ledger.append([NEW, on("assets:new", sale("n:1")), drawn], Ask(actor=ME))) == [
        "Posted", "Posted", "Declined",
    ]  # fmt: skip
    assert check_book(room, BOOK).sound


def test_requests_of_one_batch_see_what_stands_of_each_other_and_nothing_of_a_group_that_fell(room: Runtime) -> None:
    ledger = room.ledger(BOOK)
    with one_batch(room):
        (fell,) = ledger.submit([parcel("p"), sale("x"), sale("x")], Ask(actor=ME), atomic=True)
        (stands,) = ledger.submit([parcel("p"), sale("x")], Ask(actor=ME), atomic=True)
        (late,) = ledger.submit([parcel("p"), sale("x"), parcel("q")], Ask(actor=ME))
    with pytest.raises(Conflict) as caught:
        fell.future.result(30)
    assert caught.value.context["index"] == 2
    first = stands.future.result(30)
    assert kinds_of(first) == ["Posted", "Posted"]
    taken, twin, other = late.future.result(30).items
    assert isinstance(taken, Declined)
    assert isinstance(taken.error, ParcelTaken)
    assert isinstance(twin, Declined)
    assert (twin.error.entry_id, twin.error.identical) == (first.posted[1].id, True)  # type: ignore[attr-defined]
    assert isinstance(other, Posted)
    assert check_book(room, BOOK).sound


def test_a_repetition_is_refused_in_the_rooms_own_words_as_the_first_time(room: Runtime) -> None:
    ledger = room.ledger(BOOK)
    standing = account_draft(code="assets:spare", type="asset", currency="USD")
    drafts = [standing, parcel("p"), parcel("p"), sale("s")]
    first, again = (ledger.append(drafts, Ask(actor=ME, key="again")) for _ in range(2))
    assert kinds_of(first) == kinds_of(again) == ["Unchanged", "Posted", "Declined", "Posted"]
    assert first.items[0] == again.items[0] == Unchanged(code="assets:spare")
    assert again.replayed
    errors = [item.error for answer in (first, again) for item in answer.items if isinstance(item, Declined)]
    assert [(error.code, error.message, error.pointer) for error in errors] == [
        ("parcel_taken", "parcel p is recorded already.", "/number")
    ] * 2
    assert all(isinstance(error, Conflict) for error in errors)


def test_what_the_rooms_table_refuses_falls_alone_and_posting_goes_on(room: Runtime) -> None:
    ledger = room.ledger(BOOK)
    heavy = RecordDraft(kind="parcel", body={"number": "p-2", "weight": "heavy"})
    with one_batch(room):
        before, bad, after = (
            ledger.submit(drafts, Ask(actor=ME), atomic=True)[0]
            for drafts in ([parcel("p-1"), sale("a")], [sale("b"), heavy], [sale("c"), parcel("p-3")])
        )
    with pytest.raises(IntegrityError, match="invalid input syntax for type bigint"):
        bad.future.result(30)
    assert [kinds_of(each.future.result(30)) for each in (before, after)] == [["Posted", "Posted"]] * 2
    assert ledger.fault is None
    assert [number for _, number in stored(room)] == ["p-1", "p-3"]
    assert kinds_of(ledger.append([sale("b"), parcel("p-2")], Ask(actor=ME), atomic=True)) == ["Posted", "Posted"]
    assert check_book(room, BOOK).sound


def test_a_kind_that_refuses_only_when_it_writes_takes_no_neighbour_with_it(room: Runtime) -> None:
    ledger = room.ledger(BOOK)
    with one_batch(room):
        bad, good = (ledger.submit(drafts, Ask(actor=ME), atomic=True)[0] for drafts in ([parcel("late")], [sale("a")]))
    with pytest.raises(Conflict, match="while it was written"):
        bad.future.result(30)
    assert kinds_of(good.future.result(30)) == ["Posted"]
    assert check_book(room, BOOK).sound


def test_a_plan_made_ahead_that_breaks_off_leaves_nothing_behind(
    room: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its entries were judged when the connection broke: judged again, they must find the funds that are there."""
    ledger = room.ledger(BOOK)
    ledger.append([sale("a")], Ask(actor=ME), atomic=True)
    writer = ledger._sequencer._writer
    (written,), (drain,) = (
        list(requests_of(room.kinds, [draft], Ask(actor=ME), atomic=False))
        for draft in (parcel("p"), sale("b", 5, back=True))
    )
    pooled, beside = room.engine.raw_connection(), room.engine.raw_connection()
    conn: Any = pooled.driver_connection
    conn_beside: Any = beside.driver_connection

    def plan_ahead(tip: PlannedBatch) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(JournalEntry, "settle", Mock(side_effect=psycopg.OperationalError))
            with pytest.raises(psycopg.OperationalError):
                writer.planner.plan_ahead(conn_beside, tip, [drain])

    try:
        writer.write(conn, [written], planned=None, admit=lambda _: None, locked=plan_ahead)
        with conn.transaction():
            planned = writer.planner.plan(conn, lock_head(conn, BOOK), [drain])
        assert kinds_of(planned.outcomes[0]) == ["Posted"]
    finally:
        writer.planner.forget()
        for each in (pooled, beside):
            each.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_room_whose_judgement_breaks_stops_the_book_in_this_process_and_writes_nothing(
    room: Runtime, settings: Settings
) -> None:
    ledger = room.ledger(BOOK)
    with pytest.raises(IntegrityError, match="KeyError: 'bug'"):
        ledger.append([sale("a"), parcel("bug")], Ask(actor=ME), atomic=True)
    assert ledger.fault is not None
    with pytest.raises(IntegrityError, match="KeyError"):
        ledger.append([sale("b")], Ask(actor=ME), atomic=True)
    assert check_book(room, BOOK).sound
    with open_runtime(settings, kinds=[PARCEL]) as restarted:
        assert kinds_of(restarted.ledger(BOOK).append([sale("a"), parcel("p")], Ask(actor=ME))) == ["Posted", "Posted"]
