"""A room above brings a kind of record of its own: one door, one group with entries, checked and verified alike."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import psycopg
import pytest
from sqlalchemy import text

from ledger_core.actor import Actor
from ledger_core.book.kinds.journal_entry import JournalEntry
from ledger_core.book.posting.head import _WRITERS, lock_head
from ledger_core.book.posting.plan import PlannedBatch
from ledger_core.book.shaping import requests_of
from ledger_core.errors import (
    ConfigurationError,
    Conflict,
    InsufficientFunds,
    IntegrityError,
    InvalidInput,
    UnknownAccount,
)
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.segment import export_segment
from ledger_core.evidence.proofs.prove import Period, verify_selection
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import AccountChange, account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.kinds import Accepted, Kind
from ledger_core.log.shapes import shape
from ledger_core.log.verifier import verify_path
from ledger_core.ports import Ask, Declined, Posted, RecordDraft, Unchanged
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings

pytestmark = pytest.mark.integration

ME = Actor(subject="room")
BOOK = "main"


def _check_parcel(body: Any) -> None:
    if not isinstance(body["number"], str):
        raise InvalidInput("a parcel's number is text.", pointer="/body/number")


class _Derived:
    def __init__(self, checking: Any) -> None:
        self._rows = checking.compare(
            "select seq, number, weight from room.parcels where book = %(book)s order by seq",
            table="room.parcels",
            columns=("seq", "number", "weight"),
        )

    def take(self, seq: int, record: Any) -> None:
        self._rows.expect((seq, record.body["number"], record.body["weight"]))

    def skip(self, seq: int) -> None:
        self._rows.skip(seq)

    def finish(self) -> dict[str, int]:
        return {"parcels": self._rows.finish()}


class ParcelTaken(Conflict):
    """The room's own refusal."""

    code = "parcel_taken"


class Parcel(Kind):
    """A parcel is recorded once a number."""

    def read_facts(self, conn: Any, view: Any, items: Sequence[Any], before: Any) -> set[str]:
        rows = conn.execute("select number from room.parcels where book = %s", [view.book])
        return {number for (number,) in rows}

    def judge(self, judging: Any, item: Any, facts: set[str]) -> Accepted:
        number = item.members["number"]
        if number == "bug":
            raise KeyError(number)
        if number in facts:
            raise ParcelTaken(f"parcel {number} is recorded already.", pointer="/number", on=date(2026, 11, 23))
        facts.add(number)
        return Accepted(item, item.body)

    def undo(self, judging: Any, accepted: Accepted, facts: set[str]) -> None:
        facts.discard(accepted.item.members["number"])

    def project(self, conn: Any, book: str, accepted: Sequence[tuple[int, Accepted]]) -> None:
        for seq, each in accepted:
            members = each.item.members
            if members["number"] == "late":
                raise Conflict("refused while it was written")
            conn.execute(
                "insert into room.parcels (book, seq, number, weight) values (%s, %s, %s, %s)",
                [book, seq, members["number"], members["weight"]],
            )

    def derive(self, checking: Any) -> _Derived:
        return _Derived(checking)


PARCEL = Parcel(name="parcel", shape=shape("number weight", check=_check_parcel), scope="room:write")


@pytest.fixture
def room(settings: Settings) -> Iterator[Runtime]:
    with open_runtime(settings, kinds=[PARCEL]) as runtime:
        with runtime.engine.begin() as connection:
            connection.execute(text("reset role"))
            connection.execute(text("create schema room"))
            connection.execute(
                text(
                    "create table room.parcels (book text, seq bigint, number text not null, weight bigint not null, "
                    "primary key (book, seq), unique (book, number))"
                )
            )
            connection.execute(text("grant all on schema room to counterfoil_writer"))
            connection.execute(text("grant all on room.parcels to counterfoil_writer"))
        chart = [
            account_draft(code="assets:cash", type="asset", currency="USD", overdraft="forbidden"),
            account_draft(code="revenue:sales", type="revenue", currency="USD"),
            account_draft(code="assets:spare", type="asset", currency="USD"),
        ]
        apply_accounts(runtime.ledger(BOOK), chart, Ask(actor=ME))
        yield runtime


def parcel(number: str, weight: int = 3) -> RecordDraft:
    return RecordDraft(kind="parcel", body={"number": number, "weight": weight})


def sale(external_id: str, amount: int = 5, *, back: bool = False) -> EntryDraft:
    sides = ("credit", "debit") if back else ("debit", "credit")
    return EntryDraft(
        effective_at=datetime(2026, 11, 23, tzinfo=UTC),
        external_id=external_id,
        description="",
        postings=tuple(
            PostingDraft(account=code, direction=side, amount_minor=amount, currency="USD")
            for code, side in zip(("assets:cash", "revenue:sales"), sides, strict=True)
        ),
    )


@contextmanager
def writers_kept_waiting(runtime: Runtime) -> Iterator[None]:
    """Keep every writer out meanwhile: what is submitted after the first request becomes one batch."""
    with runtime.engine.begin() as connection:
        connection.execute(
            text("select pg_advisory_xact_lock(hashtextextended(:book, :writers))"), {"book": BOOK, "writers": _WRITERS}
        )
        runtime.ledger(BOOK).submit([sale("first in line", 1)], Ask(actor=ME))
        waiting = text("select exists (select from pg_locks where locktype = 'advisory' and not granted)")
        deadline = time.monotonic() + 60
        while not connection.execute(waiting).scalar_one():
            assert time.monotonic() < deadline, "no writer wants to write"
            time.sleep(0.02)
        yield


def stored(runtime: Runtime) -> list[tuple[int, str]]:
    with runtime.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("select seq, number from room.parcels order by seq"))]


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


def kinds_of(answer: Any) -> list[str]:
    return [type(item).__name__ for item in answer.items]


def to(code: str, entry: EntryDraft) -> EntryDraft:
    """Return `entry` with its first posting on `code`."""
    return replace(entry, postings=(replace(entry.postings[0], account=code), entry.postings[1]))


NEW = account_draft(code="assets:new", type="asset", currency="USD", overdraft="forbidden")


def test_an_account_is_opened_and_posted_to_in_one_group(room: Runtime) -> None:
    ledger = room.ledger(BOOK)
    group = [NEW, to("assets:new", sale("n:1")), parcel("p"), AccountChange(code="assets:new", status="frozen")]
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
    drawn = to("assets:new", sale("n:2", 6, back=True))
    with pytest.raises(InsufficientFunds) as caught:
        ledger.append([NEW, to("assets:new", sale("n:1")), drawn], Ask(actor=ME), atomic=True)
    assert caught.value.context["index"] == 2
    with pytest.raises(UnknownAccount):
        ledger.append([to("assets:new", sale("n:1"))], Ask(actor=ME), atomic=True)
    assert kinds_of(ledger.append([NEW, to("assets:new", sale("n:1")), drawn], Ask(actor=ME))) == [
        "Posted", "Posted", "Declined",
    ]  # fmt: skip
    assert check_book(room, BOOK).sound


def test_requests_of_one_batch_see_what_stands_of_each_other_and_nothing_of_a_group_that_fell(room: Runtime) -> None:
    ledger = room.ledger(BOOK)
    with writers_kept_waiting(room):
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
    with writers_kept_waiting(room):
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
    with writers_kept_waiting(room):
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
