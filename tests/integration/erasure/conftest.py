"""A book with entries that have private values, and short ways to post, erase, look and attack."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from ingest.landing.erasable import LandedFiles
from ledger_core.actor import Actor
from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from ledger_core.evidence.check.checker import CheckReport, check_book
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.journal.erasures import EntryErasure, ErasureDraft
from ledger_core.ports import Answer, Ask, Item, Posted
from ledger_core.reading.entries import get_entry
from ledger_core.reading.private import PrivatePart, private_parts
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from tests.conftest import TEMPLATE, fresh_database, stop_all

BOOK = "main"
ME = Actor(subject="tester")
CASH, SALES = "assets:cash:usd", "revenue:sales:usd"
ADA = {"payer_name": "Ada Example", "payer_iban": "DE89370400440532013000"}
UNTIL = date(2026, 3, 1)
_numbers = itertools.count(1)


def entry(name: str, private: dict[str, str] | None = None, **more: Any) -> EntryDraft:
    """Return a draft of that `external_id`."""
    return EntryDraft(
        effective_at=datetime(2026, 1, 2, tzinfo=UTC),
        external_id=name,
        description="charge",
        postings=(
            PostingDraft(account=CASH, direction="debit", amount_minor=100, currency="USD"),
            PostingDraft(account=SALES, direction="credit", amount_minor=100, currency="USD"),
        ),
        private=private or {},
        **more,
    )


@dataclass(slots=True)
class Shop:
    """A book and what is done with it."""

    runtime: Runtime
    book: str = BOOK

    def open(self) -> Shop:
        chart = [
            account_draft(code=CASH, type="asset", currency="USD"),
            account_draft(code=SALES, type="revenue", currency="USD"),
        ]
        apply_accounts(self.runtime.ledger(self.book), chart, Ask(actor=ME))
        return self

    def append(self, *drafts: Any, key: str | None = None, atomic: bool = False) -> Answer:
        return self.runtime.ledger(self.book).append(list(drafts), Ask(actor=ME, key=key), atomic=atomic)

    def post(self, name: str, private: dict[str, str] | None = None, **more: Any) -> Posted:
        return self.append(entry(name, private, **more)).only

    def erase(self, *entries: str | EntryErasure, files: tuple[str, ...] = (), reason: str = "mistake") -> Item:
        named = tuple(EntryErasure(entry=each) if isinstance(each, str) else each for each in entries)
        draft = ErasureDraft(reason=reason, entries=named, files=files, kept_until=UNTIL)
        return self.append(draft, atomic=True).items[0]

    def part(self, name: str) -> PrivatePart:
        with self.runtime.engine.connect() as connection:
            found = get_entry(connection, self.book, name)
            assert found is not None
            return private_parts(connection, self.book, [found], values=self.runtime)[found.seq]

    def rows(self, table: str) -> int:
        """Count the rows of `table`: the book's own in a table of the ledger, all of them elsewhere."""
        own = " where book = :book" if table.startswith("ledger.") else ""
        with self.runtime.engine.connect() as connection:
            return int(connection.execute(text(f"select count(*) from {table}{own}"), {"book": self.book}).scalar_one())

    def check(self) -> CheckReport:
        return check_book(self.runtime, self.book)

    def sound(self) -> CheckReport:
        report = self.check()
        assert report.sound, report.as_lines()
        return report

    @contextmanager
    def attack(self) -> Iterator[psycopg.Connection[Any]]:
        """Yield a superuser whom no trigger holds; committed afterwards."""
        with psycopg.connect(self.runtime.database_url.replace("+psycopg", "")) as connection:
            connection.execute("set session_replication_role = replica")
            yield connection


def body_of(item: Item) -> dict[str, Any]:
    assert isinstance(item, Posted)
    return json.loads(item.canonical)["body"]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory, postgres: tuple[EmbeddedPostgres, int]) -> Iterator[Runtime]:
    """One home, proxy and database for all the books of a module: to make them takes longer than most tests."""
    home = tmp_path_factory.mktemp("company") / "home"
    with fresh_database(postgres) as url:
        settings = Settings(home_path=home, database_url=url, env="test", actor="test")
        with open_runtime(settings, files=LandedFiles()) as runtime:
            yield runtime
        stop_all(home)


@pytest.fixture
def shop(company: Runtime) -> Shop:
    """A book of its own in the module's company, for whoever looks at that book alone."""
    return Shop(company, f"shop_{next(_numbers)}").open()


@pytest.fixture
def alone(settings: Settings) -> Iterator[Shop]:
    """A company with one book, for whoever copies its database, lands files or runs commands in its home."""
    with open_runtime(settings, files=LandedFiles()) as runtime:
        yield Shop(runtime).open()


@pytest.fixture
def fresh(postgres: tuple[EmbeddedPostgres, int]) -> Iterator[Callable[..., str]]:
    """Makes databases: migrated and empty, or a copy of another one, which nobody may be connected to then."""
    embedded, port = postgres
    made: list[str] = []
    admin = make_engine(embedded.url(port, "postgres"), role="login", pool_size=1)

    def run(statement: str) -> None:
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(statement))

    def make(like: str | None = None) -> str:
        name = f"erasure_{next(_numbers)}"
        run(f"create database {name} template {like.rpartition('/')[2] if like else TEMPLATE}")
        made.append(name)
        return embedded.url(port, name)

    yield make
    for name in made:
        run(f"drop database if exists {name} with (force)")
    admin.dispose()


@pytest.fixture
def beside(settings: Settings) -> Iterator[Callable[[str], Shop]]:
    """Opens the same home on other databases."""
    with ExitStack() as stack:
        yield lambda url: Shop(
            stack.enter_context(open_runtime(settings.model_copy(update={"database_url": url}), files=LandedFiles()))
        )


@pytest.fixture
def archive(home: Path) -> Path:
    return home / "archive"
