"""A ledger to tell of, and the brokers and buckets that are told."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from ledger_core.actor import Actor
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime
from tests.integration.relay.kafka_server import Broker, running_broker

ME = Actor(subject="tester")
_numbers = itertools.count()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker for the whole session."""
    with running_broker(tmp_path_factory.mktemp("kafka")) as running:
        yield running


def entry(description: str = "order") -> EntryDraft:
    """Return an entry that no other is like."""
    number = next(_numbers)
    return EntryDraft(
        effective_at=datetime(2026, 3, 1, 8, tzinfo=UTC),
        external_id=f"shop:{number}",
        description=description,
        postings=(
            PostingDraft(account="assets:cash:usd", direction="debit", amount_minor=number + 1, currency="USD"),
            PostingDraft(account="revenue:sales:usd", direction="credit", amount_minor=number + 1, currency="USD"),
        ),
    )


@pytest.fixture
def post(runtime: Runtime) -> Callable[..., None]:
    """Post so many entries, in a book that has its accounts, and wait until they are signed."""

    def into(count: int, *, book: str = "main", description: str = "order") -> None:
        codes = (("assets:cash:usd", "asset"), ("revenue:sales:usd", "revenue"))
        chart = [account_draft(code=code, type=kind, currency="USD") for code, kind in codes]
        ledger = runtime.ledger(book)
        apply_accounts(ledger, chart, Ask(actor=ME))
        for first in range(0, count, 500):
            ledger.append([entry(description) for _ in range(min(500, count - first))], Ask(actor=ME))

    return into


def records(runtime: Runtime, book: str = "main") -> list[bytes]:
    """Return the canonical bytes of everything that is signed."""
    with runtime.engine.connect() as connection:
        rows = connection.execute(
            text(
                "select canonical from ledger.records as record join ledger.log_head as head using (book) "
                "where book = :book and record.seq < head.signed_size order by record.seq"
            ),
            {"book": book},
        )
        return [bytes(row.canonical) for row in rows]
