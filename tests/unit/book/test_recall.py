"""What is recalled from its bytes is laid as it was posted: rows, tree, projections and sums, byte for byte."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger_core.actor import Actor
from ledger_core.book.kinds import Kinds
from ledger_core.book.posting.head import HeadRow
from ledger_core.book.posting.plan import PlannedBatch, Planner
from ledger_core.book.posting.recall import Recaller
from ledger_core.book.shaping import requests_of
from ledger_core.errors import IntegrityError
from ledger_core.journal.accounts import AccountChange, AccountDraft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.log.merkle import Frontier
from ledger_core.log.record import NO_PREV
from ledger_core.ports import Ask, Draft, Posted, RecordDraft

HEAD = HeadRow(
    origin="o", size=0, signed_size=0, last_leaf=NO_PREV, last_recorded_at=None, frontier=Frontier()
)  # fmt: skip
ASK = Ask(actor=Actor(subject="tester"))
CODES = [f"assets:{number}" for number in range(5)]


class Empty:
    """A database without a row; it keeps what is written to it."""

    rowcount = 0

    def __init__(self) -> None:
        self.written: list[tuple[str, Any]] = []

    def execute(self, statement: str, arguments: Any = None) -> Empty:
        if not statement.startswith("select"):
            self.written.append((statement, arguments))
        return self

    def fetchone(self) -> tuple[int]:
        return (0,)

    def __iter__(self) -> Any:
        return iter(())


def entry(number: int, dice: random.Random) -> EntryDraft:
    debit, credit = dice.sample(CODES, 2)
    amounts = [dice.randrange(1, 2**40) for _ in range(dice.randrange(1, 4))]
    postings = [PostingDraft(account=debit, direction="debit", amount_minor=sum(amounts), currency="USD")]
    postings += [
        PostingDraft(account=credit, direction="credit", amount_minor=each, currency="USD") for each in amounts
    ]
    return EntryDraft(
        effective_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=dice.randrange(10**13)),
        external_id=f"e:{number}",
        description=dice.choice(["", "plain", 'a "quoted" \\ text', "Zażółć 🧾"]),
        postings=tuple(postings),
        # In the order of a record's bytes; the database keeps no order of its own.
        metadata=dice.choice([{}, {"a": "é", "b": "2"}, {"k": '"\\u0041"'}]),
    )


def drafts() -> list[Draft]:
    dice = random.Random(26)
    made: list[Draft] = [
        AccountDraft(code=code, type="asset", currency="USD", normal_balance="debit", metadata={"n": code})
        for code in CODES
    ]
    made += [entry(number, dice) for number in range(300)]
    made += [
        AccountChange(code=CODES[0], metadata={"moved": "yes"}),
        RecordDraft(kind="security_event", body={"event": "test"}),
        entry(300, dice),
        AccountChange(code=CODES[4], status="frozen"),
    ]
    return made


def posted() -> tuple[PlannedBatch, list[bytes]]:
    planner = Planner("main", clock=lambda: datetime(2026, 11, 23, 8, 9, 10, 11, tzinfo=UTC))
    requests = list(requests_of(Kinds(), drafts(), ASK, atomic=False))
    planned = planner.plan(Empty(), HEAD, requests)  # type: ignore[arg-type]
    items = [item for outcome in planned.outcomes for item in outcome.items]
    assert all(isinstance(item, Posted) for item in items), items
    return planned, [item.canonical for item in items if isinstance(item, Posted)]


def written_by(batch: PlannedBatch) -> list[tuple[str, Any]]:
    database = Empty()
    for kind, accepted in batch.projected.items():
        kind.project(database, "main", accepted)  # type: ignore[arg-type]
    return database.written


def test_a_recalled_batch_is_the_one_that_was_posted() -> None:
    planned, lines = posted()
    recaller = Recaller("main", Kinds())
    recaller.start(Empty(), HEAD)  # type: ignore[arg-type]
    recalled = recaller.plan(Empty(), HEAD, lines)  # type: ignore[arg-type]
    assert recalled.streams == planned.streams
    assert recalled.leaves == planned.leaves
    assert recalled.tiles == planned.tiles
    assert recalled.head_after == planned.head_after
    assert written_by(recalled) == written_by(planned)
    assert written_by(planned), "something is projected"
    assert recaller._recalling.deltas == planned.deltas


@pytest.mark.parametrize("size", [1, 7, 256])
def test_the_cuts_between_batches_change_no_row(size: int) -> None:
    planned, lines = posted()
    recaller = Recaller("main", Kinds())
    recaller.start(Empty(), HEAD)  # type: ignore[arg-type]
    head, rows, written = HEAD, {into: b"" for into, _ in planned.streams}, []
    for start in range(0, len(lines), size):
        batch = recaller.plan(Empty(), head, lines[start : start + size])  # type: ignore[arg-type]
        head = batch.head_after
        written += written_by(batch)
        for into, data in batch.streams:
            rows[into] += data[19:-2]
    assert rows == {into: data[19:-2] for into, data in planned.streams}
    assert head == planned.head_after
    assert written == written_by(planned)
    assert recaller._recalling.deltas == planned.deltas


@pytest.mark.parametrize(
    ("line", "why"),
    [(b"{}", "KeyError"), (b"no json", "JSONDecodeError"), (b'{"id":"x","kind":"journal_entry"}', "ValueError")],
)
def test_what_is_no_record_is_named_with_its_seq(line: bytes, why: str) -> None:
    recaller = Recaller("main", Kinds())
    recaller.start(Empty(), HEAD)  # type: ignore[arg-type]
    with pytest.raises(IntegrityError, match=why) as refused:
        recaller.plan(Empty(), HEAD, [line])  # type: ignore[arg-type]
    assert refused.value.context["seq"] == 0


def test_an_entry_on_an_account_that_no_record_opened_is_named_with_its_seq() -> None:
    _, lines = posted()
    recaller = Recaller("main", Kinds())
    recaller.start(Empty(), HEAD)  # type: ignore[arg-type]
    with pytest.raises(IntegrityError, match="KeyError 'assets:") as refused:
        recaller.plan(Empty(), HEAD, lines[5:6])  # type: ignore[arg-type]
    assert "seq" in refused.value.context
