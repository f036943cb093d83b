"""What should not have happened is kept at once, counted by the minute, and recorded once the book takes it."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger_core.book import security_events
from ledger_core.book.security_events import SecurityEvents
from ledger_core.errors import DependencyError, IntegrityError, InvalidInput, LedgerBehind, SignerRefused
from ledger_core.log.canonical import canonical_bytes
from ledger_core.ports import Answer, Ask, Draft, Submission

ORIGIN = "ledger.example/test/main"
FORK = SignerRefused("size 9 does not extend the tree signed at 9.", reason="fork")


class Book:
    """A ledger that takes, delays or refuses what it is handed."""

    book = "main"

    def __init__(self) -> None:
        self.handed: list[tuple[dict[str, Any], str | None]] = []
        self.futures: list[Future[Answer]] = []
        self.error: Exception | None = None

    def submit(self, drafts: Sequence[Draft], ask: Ask, *, atomic: bool = False) -> list[Submission]:
        if self.error is not None:
            raise self.error
        assert atomic
        (draft,) = drafts
        assert draft.kind == "security_event"
        body = dict(draft.body)  # type: ignore[union-attr]
        assert canonical_bytes(body)
        self.handed.append((body, ask.key))
        self.futures.append(Future())
        return [Submission(future=self.futures[-1], overdue=lambda: DependencyError("late."))]

    def signs(self) -> None:
        for future in self.futures:
            if not future.done():
                future.set_result(Answer(items=(), replayed=False, checkpoint=None, size=0, tree=None))


class Time:
    now = datetime(2026, 11, 26, 23, 59, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def later(self, **more: int) -> None:
        self.now += timedelta(**more)


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def events(tmp_path: Path, clock: Time, monkeypatch: pytest.MonkeyPatch) -> SecurityEvents:
    monkeypatch.setattr(security_events, "LOOK_SECONDS", 0.0)
    return SecurityEvents(tmp_path / "security", clock=clock)


def flush(events: SecurityEvents, book: Book) -> None:
    events.flush(book)  # type: ignore[arg-type]


def test_the_same_in_one_minute_is_one_record_with_a_count(events: SecurityEvents, clock: Time, tmp_path: Path) -> None:
    book = Book()
    for _ in range(7):
        events.refused("main", ORIGIN, FORK)
    events.refused("main", ORIGIN, SignerRefused("nothing is known.", reason="unknown_history"))
    events.refused("main", ORIGIN, SignerRefused("not yours.", reason="origin"))
    flush(events, book)
    assert book.handed == [], "the minute is not over"
    clock.later(minutes=1)
    events.refused("main", ORIGIN, FORK)
    flush(events, book)
    told = sorted((body["event"], body["reason"], body["count"], body["minute"]) for body, _ in book.handed)
    assert told == [
        ("fork_rejected", "fork", 8, "2026-11-26T23:59Z"),
        ("signature_refused", "origin", 1, "2026-11-26T23:59Z"),
    ]
    assert {body["subject"] for body, _ in book.handed} == {ORIGIN}
    flush(events, book)
    assert len(book.handed) == 2, "what is under way is not handed in again"
    book.signs()
    clock.later(minutes=1)
    flush(events, book)
    assert [body["minute"] for body, _ in book.handed[2:]] == ["2026-11-27T00:00Z"]
    book.signs()
    assert not [path for path in (tmp_path / "security").rglob("*") if path.is_file()]


def test_two_homes_that_see_the_same_have_a_record_each(events: SecurityEvents, clock: Time, tmp_path: Path) -> None:
    book, other = Book(), SecurityEvents(tmp_path / "other", clock=clock)
    for each in (events, other):
        each.refused("main", ORIGIN, FORK)
    clock.later(minutes=1)
    for each in (events, other):
        flush(each, book)
    assert book.handed[0][0] == book.handed[1][0]
    assert book.handed[0][1] != book.handed[1][1]


def test_what_the_book_does_not_take_now_waits_on(events: SecurityEvents, clock: Time) -> None:
    book = Book()
    events.refused("main", ORIGIN, FORK)
    clock.later(minutes=1)
    for error in (DependencyError("away."), IntegrityError("stopped.")):
        book.error = error
        flush(events, book)
    book.error = None
    flush(events, book)
    (first, key) = book.handed[0]
    book.futures[0].set_exception(DependencyError("the signature did not come."))
    flush(events, book)
    assert book.handed[1] == (first, key), "word by word the same, under the same key: it is one record"
    book.signs()
    flush(events, book)
    assert len(book.handed) == 2


def test_another_process_of_the_home_records_what_one_that_stopped_has_kept(
    events: SecurityEvents, clock: Time, tmp_path: Path
) -> None:
    events.stopped("main", ORIGIN, LedgerBehind("the database went back in time."))
    events.stopped("main", ORIGIN, IntegrityError("the roots differ.", reason="fork"))
    events.stopped("main", ORIGIN, FORK)  # told by the client already
    events.stopped("main", ORIGIN, DependencyError("away."))  # nobody's fault
    clock.later(minutes=1)
    book = Book()
    flush(SecurityEvents(tmp_path / "security", clock=clock), book)
    assert sorted((body["event"], body["reason"]) for body, _ in book.handed) == [
        ("fork_rejected", "fork"),
        ("log_contradicted", "ledger_behind"),
    ]


def test_another_books_events_are_another_books(events: SecurityEvents, clock: Time) -> None:
    events.refused("second", "ledger.example/test/second", FORK)
    clock.later(minutes=1)
    book = Book()
    flush(events, book)
    assert book.handed == []


def test_what_no_record_can_hold_is_put_aside_and_stops_nothing(
    events: SecurityEvents, clock: Time, tmp_path: Path
) -> None:
    events.refused("main", ORIGIN, FORK)
    clock.later(minutes=1)
    book = Book()
    book.error = InvalidInput("a card number.")
    flush(events, book)
    book.error = None
    events.refused("main", ORIGIN, FORK)
    clock.later(minutes=1)
    flush(events, book)
    assert len(book.handed) == 1
    assert [path.suffix for path in sorted((tmp_path / "security" / "main").iterdir())] == [".aside", ""]


@pytest.mark.parametrize(
    "text", ["\ud800", "e\u0301", "\0", "x" * 10_000, ""], ids=["surrogate", "decomposed", "null", "long", "empty"]
)
def test_any_text_can_be_kept(events: SecurityEvents, clock: Time, text: str) -> None:
    events.keep("main", "verification_failed", text, "again", text)
    events.keep("../main", "verification_failed", text, text, text)
    clock.later(minutes=1)
    book = Book()
    flush(events, book)
    assert len(book.handed) == 1


def test_threads_lose_no_count(events: SecurityEvents, clock: Time) -> None:
    threads = [
        threading.Thread(target=lambda: [events.refused("main", ORIGIN, FORK) for _ in range(25)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.later(minutes=1)
    book = Book()
    flush(events, book)
    assert [body["count"] for body, _ in book.handed] == [100]


def test_a_file_has_its_line_before_it_has_its_name(
    events: SecurityEvents, clock: Time, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def slowly(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        events.refused("main", ORIGIN, FORK)  # another thread, in the middle of it
        link(source, target)

    monkeypatch.setattr(os, "link", slowly)
    events.refused("main", ORIGIN, FORK)
    clock.later(minutes=1)
    book = Book()
    flush(events, book)
    assert [body["count"] for body, _ in book.handed] == [2]
    assert [path.name for path in (tmp_path / "security").iterdir()] == ["main"]


def test_a_file_without_its_line_keeps_no_other_event_waiting(
    events: SecurityEvents, clock: Time, tmp_path: Path
) -> None:
    events.refused("main", ORIGIN, FORK)
    (made,) = tmp_path.rglob("*Z-*")
    made.with_name(f"0{made.name[1:]}").write_bytes(b"")
    clock.later(minutes=1)
    book = Book()
    flush(events, book)
    assert [body["count"] for body, _ in book.handed] == [1]


def test_how_much_waits_is_bounded(events: SecurityEvents, clock: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security_events, "MAX_WAITING", 3)
    for number in range(10):
        events.keep("main", "signature_refused", f"log {number}", "origin", "no")
    clock.later(minutes=1)
    book = Book()
    flush(events, book)
    assert len(book.handed) == 3
