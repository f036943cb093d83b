"""Posts, repeats and erasures in any order: what is held is what a model says, and everything follows from the log."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ledger_core.actor import Actor
from ledger_core.errors import NothingToErase, ReferenceNotFound
from ledger_core.evidence.check.checker import check_book
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.journal.erasures import EntryErasure, ErasureDraft
from ledger_core.ports import Ask, Declined, Posted, Unchanged
from ledger_core.reading.entries import get_entry
from ledger_core.reading.private import private_parts
from ledger_core.runtime import Runtime

pytestmark = pytest.mark.integration

ACTOR = Actor(subject="model")
ENTRIES, NAMES = ("e0", "e1", "e2"), ("a", "b", "c")
_books = itertools.count(1)

posts = st.tuples(
    st.just("post"),
    st.sampled_from(ENTRIES),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["x", "y", "é"]), max_size=3),
)
erasures = st.tuples(
    st.just("erase"), st.sampled_from(ENTRIES), st.lists(st.sampled_from(NAMES), max_size=3, unique=True)
)
histories = st.lists(st.lists(posts | erasures, min_size=1, max_size=4), min_size=1, max_size=5)


def draft_of(book: str, action: tuple) -> EntryDraft | ErasureDraft:
    kind, name, given = action
    if kind == "erase":
        named = EntryErasure(entry=f"{book}:{name}", names=tuple(given))
        return ErasureDraft(reason="mistake", entries=(named,), kept_until=date(2026, 3, 1))
    return EntryDraft(
        effective_at=datetime(2026, 1, 1, tzinfo=UTC),
        external_id=f"{book}:{name}",
        description="",
        postings=(
            PostingDraft(account="a:x", direction="debit", amount_minor=1, currency="USD"),
            PostingDraft(account="r:x", direction="credit", amount_minor=1, currency="USD"),
        ),
        private=given,
    )


class Model:
    """What is held and what is erased, by entry; `before` is what stood when the batch began."""

    def __init__(self) -> None:
        self.posted: dict[str, dict[str, str]] = {}
        self.erased: dict[str, set[str]] = {}
        self.before: set[str] = set()

    def expected(self, action: tuple) -> object:
        """Return what becomes of `action`, and do it."""
        kind, name, given = action
        if kind == "post":
            if name in self.posted:
                same = set(given) == set(self.posted[name]) and all(
                    given[each] == self.posted[name][each] for each in set(given) - self.erased[name]
                )
                return ("duplicate", same)
            self.posted[name], self.erased[name] = given, set()
            return Posted
        if name not in self.before:
            return ReferenceNotFound
        if not self.posted[name] or not set(given) <= set(self.posted[name]):
            return NothingToErase
        left = set(given or self.posted[name]) - self.erased[name]
        self.erased[name] |= left
        return Posted if left else Unchanged


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories)
def test_whatever_is_posted_repeated_and_erased_in_whatever_order(runtime: Runtime, history: list) -> None:
    book = f"b{next(_books)}"
    ledger = runtime.ledger(book)
    chart = [
        account_draft(code="a:x", type="asset", currency="USD"),
        account_draft(code="r:x", type="revenue", currency="USD"),
    ]
    apply_accounts(ledger, chart, Ask(actor=ACTOR))
    model = Model()
    for number, batch in enumerate(history):
        for index, action in enumerate(batch):
            model.before = set(model.posted)
            expected = model.expected(action)
            ask = Ask(actor=ACTOR, key=f"{number}:{index}")
            (item,) = ledger.append([draft_of(book, action)], ask).items
            if isinstance(expected, tuple):
                assert isinstance(item, Declined)
                assert item.error.identical == expected[1]
            elif expected in (ReferenceNotFound, NothingToErase):
                assert isinstance(item, Declined)
                assert isinstance(item.error, expected)
            else:
                assert type(item) is expected
            if isinstance(item, Posted):
                again = ledger.append([draft_of(book, action)], ask)
                assert again.replayed
                assert again.only.canonical == item.canonical
    report = check_book(runtime, book)
    assert report.sound, report.as_lines()
    with runtime.engine.connect() as connection:
        for name, private in model.posted.items():
            entry = get_entry(connection, book, f"{book}:{name}")
            assert entry is not None
            parts = private_parts(connection, book, [entry], values=runtime)
            if not private:
                assert not parts
                continue
            part = parts[entry.seq]
            assert set(part.erased) == model.erased[name]
            assert part.values == {each: private[each] for each in set(private) - model.erased[name]}
        held = connection.execute(text("select count(*) from ledger.private_keys where book = :book"), {"book": book})
        assert held.scalar_one() == sum(len(set(model.posted[name]) - model.erased[name]) for name in model.posted)
