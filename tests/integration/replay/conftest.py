"""A company with a past of every kind, its archive, and empty databases to rebuild it in."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from api.reversals import reverse
from ledger_core.actor import Actor
from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from ledger_core.ceremony.drafts import Wish
from ledger_core.ceremony.run import change_now
from ledger_core.evidence.export.segment import export_segment
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import AccountChange, AccountOpening, account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.journal.erasures import EntryErasure, ErasureDraft
from ledger_core.ports import Ask, Declined, RecordDraft
from ledger_core.relay.relay import Relay
from ledger_core.relay.stream import StreamDestination
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from tests.conftest import TEMPLATE

BOOK = "main"
ME = Actor(subject="tester")
CASH, SALES, FEES, YEN, YEN_SALES = (
    "assets:cash:usd", "revenue:sales:usd", "expenses:fees:usd", "assets:bank:jpy", "revenue:sales:jpy",
)  # fmt: skip
_numbers = itertools.count(1)

Fresh = Callable[..., str]


@pytest.fixture
def fresh(postgres: tuple[EmbeddedPostgres, int]) -> Iterator[Fresh]:
    """Makes databases: migrated and empty, or a copy of another one, which nobody may be connected to then."""
    embedded, port = postgres
    made: list[str] = []
    admin = make_engine(embedded.url(port, "postgres"), role="login", pool_size=1)

    def run(statement: str) -> None:
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(statement))

    def make(like: str | None = None) -> str:
        name = f"replay_{next(_numbers)}"
        run(f"create database {name} template {like.rpartition('/')[2] if like else TEMPLATE}")
        made.append(name)
        return embedded.url(port, name)

    yield make
    for name in made:
        run(f"drop database if exists {name} with (force)")
    admin.dispose()


@pytest.fixture
def beside(settings: Settings) -> Iterator[Callable[[str], Runtime]]:
    """Opens runtimes of the same home on other databases."""
    with ExitStack() as stack:
        yield lambda url: stack.enter_context(open_runtime(settings.model_copy(update={"database_url": url})))


@dataclass(slots=True)
class Company:
    """The original, and what is done in it."""

    runtime: Runtime
    _posted: int = 0
    _nights: int = 0

    @property
    def archive(self) -> Path:
        return self.runtime.home / "archive"

    def entry(self, *, amount_minor: int = 1_000, metadata: dict[str, str] | None = None, **more: Any) -> EntryDraft:
        self._posted += 1
        number = self._posted
        yen = number % 7 == 0
        sides = (
            [(YEN, "debit", amount_minor, "JPY"), (YEN_SALES, "credit", amount_minor, "JPY")]
            if yen
            else [
                (CASH, "debit", amount_minor - 30, "USD"),
                (FEES, "debit", 30, "USD"),
                (SALES, "credit", amount_minor, "USD"),
            ]
        )
        return EntryDraft(
            effective_at=datetime(2025, 1 + number % 12, 1 + number % 28, 8, 0, 0, number, tzinfo=UTC),
            external_id=f"shop:{number}",
            description=f"Zażółć gęślą jaźń 🧾 {number}" if number % 3 else "",
            postings=tuple(
                PostingDraft(account=code, direction=side, amount_minor=minor, currency=currency)
                for code, side, minor, currency in sides
            ),
            metadata={"reference": f"réf-{number}", "a_note": '\\u0041 "x"'} if metadata is None else metadata,
            **more,
        )

    def post(self, count: int = 1, **more: Any) -> list[Any]:
        drafts = [self.entry(**more) for _ in range(count)]
        return list(self.runtime.ledger(BOOK).append(drafts, Ask(actor=ME, key=f"k:{self._posted}")).posted)

    def record(self, kind: str, body: dict[str, Any]) -> int:
        draft = RecordDraft(kind=kind, body=body)
        return self.runtime.ledger(BOOK).append([draft], Ask(actor=ME), atomic=True).posted[0].seq

    def erase(self, entry_id: str) -> None:
        entries = (EntryErasure(entry=entry_id),)
        draft = ErasureDraft(reason="mistake", entries=entries, kept_until=date(2026, 3, 1))
        self.runtime.ledger(BOOK).append([draft], Ask(actor=ME), atomic=True)

    def night(self) -> None:
        self._nights += 1
        export_segment(self.runtime, closed_on=date(2026, 1, self._nights), book=BOOK)

    def live(self) -> None:
        """Everything that posting can do, in an order that mixes it, over three nights; the last one is quiet."""
        ledger = self.runtime.ledger(BOOK)
        chart = [
            account_draft(code=CASH, type="asset", currency="USD", metadata={"source": "stripe", "b": "2", "a": "1"}),
            account_draft(code=SALES, type="revenue", currency="USD"),
            account_draft(code=FEES, type="expense", currency="USD"),
            account_draft(code=YEN, type="asset", currency="JPY", overdraft="forbidden"),
            account_draft(code=YEN_SALES, type="revenue", currency="JPY"),
        ]
        apply_accounts(ledger, chart, Ask(actor=ME))
        self.post(300)
        opening = AccountOpening(account=account_draft(code="assets:late:usd", type="asset", currency="USD"))
        ledger.append(
            [opening, self.entry(), AccountChange(code=FEES, metadata={"team": "ü"})], Ask(actor=ME), atomic=True
        )
        first = self.post()[0]
        reverse(ledger, self.runtime.engine, first.id, actor=ME, now=self.runtime.clock())
        self.post(metadata={}, corrects=self.post()[0].id)
        self.night()
        ledger.append([AccountChange(code="assets:late:usd", status="frozen")], Ask(actor=ME), atomic=True)
        unknown = EntryDraft(
            effective_at=datetime(2025, 1, 1, tzinfo=UTC),
            external_id="nowhere",
            description="",
            postings=(
                PostingDraft(account="assets:nobody", direction="debit", amount_minor=1, currency="USD"),
                PostingDraft(account=SALES, direction="credit", amount_minor=1, currency="USD"),
            ),
        )
        mixed = ledger.append([self.entry(), unknown, self.entry()], Ask(actor=ME, key="mixed"))
        assert [type(item) is Declined for item in mixed.items] == [False, True, False]
        change_now(self.runtime, Wish(action="rotate"), actor=ME)
        self.record("security_event", {"event": "test", "what": "nothing"})
        gone = self.post(private={"payer_iban": "x", "payer_name": "Ada"})[0]
        self.post(private={"payer_name": "Eve"})
        self.erase(gone.id)
        self.record("reconciliation_run", {"manifest": {"run_id": "x"}})
        self.post(400, amount_minor=2**52)
        ledger.append([AccountChange(code="assets:late:usd", status="closed")], Ask(actor=ME), atomic=True)
        self.night()
        Relay(self.runtime, StreamDestination(self.runtime.archive)).turn(hurry=True)
        self.night()

    def live_on(self) -> None:
        """What happens after a backup was taken: accounts that it knows and one that it does not, and a night."""
        ledger = self.runtime.ledger(BOOK)
        late = account_draft(code="assets:later:usd", type="asset", currency="USD")
        change = AccountChange(code=CASH, metadata={"moved": "yes"})
        ledger.append([AccountOpening(account=late), change], Ask(actor=ME), atomic=True)
        first = self.post(20)[0]
        reverse(ledger, self.runtime.engine, first.id, actor=ME, now=self.runtime.clock())
        self.post(5)
        self.night()

    def tail(self, file: Path, *, since: int = 0) -> Path:
        """Write the records from `since` on as whoever still reads the lost database would."""
        with psycopg.connect(self.runtime.database_url.replace("+psycopg", "")) as connection:
            rows = connection.execute(
                "select canonical from ledger.records where book = %s and seq >= %s order by seq", [BOOK, since]
            )
            file.write_bytes(b"".join(bytes(row[0]) + b"\n" for row in rows))
        return file


@pytest.fixture
def company(runtime: Runtime) -> Company:
    made = Company(runtime)
    made.live()
    return made


def rows_of(url: str) -> dict[str, list[str]]:
    """Return every row of every table of schema `ledger`, as the database writes it, in order."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("set timezone = 'UTC'")
        tables = connection.execute(
            "select table_name from information_schema.tables "
            "where table_schema = 'ledger' and table_type = 'BASE TABLE'"
        ).fetchall()
        return {
            name: [row[0] for row in connection.execute(f"select t::text from ledger.{name} as t order by 1")]
            for (name,) in tables
        }
