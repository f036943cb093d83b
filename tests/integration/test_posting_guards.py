"""What the database itself refuses, whoever asks: the accidents that roles and triggers stop."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import text

from ledger_core.actor import Actor
from ledger_core.errors import IntegrityError
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import AccountDraft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.ports import Ask
from ledger_core.reading.heads import read_head
from ledger_core.runtime import Runtime

pytestmark = pytest.mark.integration

ME = Actor(subject="t")
APPEND_ONLY = ("records", "checkpoints", "tiles", "account_versions", "entries", "postings", "exports")


@pytest.fixture
def conn(runtime: Runtime) -> psycopg.Connection:
    """The login's own connection, in no role of ours: the owner of everything but a superuser's switches."""
    apply_accounts(
        runtime.ledger(),
        [account("a")],
        Ask(actor=ME),
    )
    made = psycopg.connect(runtime.database_url.replace("+psycopg", ""), autocommit=True)
    yield made  # type: ignore[misc]
    made.close()


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("act", ["update ledger.{} set book = book", "delete from ledger.{}", "truncate ledger.{}"])
def test_what_was_appended_is_never_changed(conn: psycopg.Connection, table: str, act: str) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        conn.execute(act.format(table))


def test_an_unbalanced_entry_is_refused_by_the_database_too(conn: psycopg.Connection) -> None:
    unbalanced = (
        "insert into ledger.postings (book, seq, line, account_id, direction, amount_minor, currency, effective_at) "
        "values ('main', 9, 0, 1, 'debit', 5, 'USD', now()), ('main', 9, 1, 1, 'credit', 4, 'USD', now())"
    )
    with pytest.raises(psycopg.errors.CheckViolation, match="does not balance in USD"):
        conn.execute(unbalanced)


def test_the_writer_cannot_touch_what_it_appended_and_the_reader_writes_nothing(conn: psycopg.Connection) -> None:
    for role, act in (
        ("writer", "delete from ledger.records"),
        ("writer", "alter table ledger.records disable trigger all"),
        ("reader", "insert into ledger.idempotency select 'b', 'r', 'k', '', 0, 0, '[]'"),
        ("dbt", "select * from ledger.records"),
    ):
        conn.execute(f"set role counterfoil_{role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(act)
        conn.execute("reset role")


def test_dbt_sees_signed_records_only(conn: psycopg.Connection, runtime: Runtime) -> None:
    with runtime.engine.connect() as connection:
        assert read_head(connection, "main").signed_size == 2
    assert conn.execute("select count(*) from ledger.posted_account_versions").fetchone() == (1,)
    conn.execute("update ledger.log_head set signed_size = 1")
    assert conn.execute("select count(*) from ledger.posted_account_versions").fetchone() == (0,)
    conn.execute("update ledger.log_head set signed_size = 2")


def test_a_head_that_something_else_moved_while_a_batch_was_written_takes_none_of_it(
    conn: psycopg.Connection, runtime: Runtime
) -> None:
    conn.execute(
        "create function pg_temp.meddle() returns trigger language plpgsql as $$ begin "
        "update ledger.log_head set last_leaf = sha256(last_leaf); return null; end $$"
    )
    # The function lives as long as this connection does, and the trigger with it.
    conn.execute(
        "create trigger meddle after insert on ledger.records for each statement execute function pg_temp.meddle()"
    )
    conn.execute("grant update on ledger.log_head to counterfoil_writer")
    before = conn.execute("select size, last_leaf from ledger.log_head").fetchone()
    with pytest.raises(IntegrityError, match="was moved from 2 by something that is no writer"):
        apply_accounts(runtime.ledger(), [account("b")], Ask(actor=ME))
    assert conn.execute("select size, last_leaf from ledger.log_head").fetchone() == before
    assert conn.execute("select count(*) from ledger.records").fetchone() == (2,)


def test_an_entry_on_an_account_whose_balance_is_gone_is_not_taken(conn: psycopg.Connection, runtime: Runtime) -> None:
    ledger = runtime.ledger()
    apply_accounts(ledger, [account("b")], Ask(actor=ME))
    assert len(ledger.append([entry("e:1")], Ask(actor=ME)).posted) == 1
    conn.execute("delete from ledger.balances where account_id = 2")
    before = conn.execute("select count(*) from ledger.records").fetchone()
    with pytest.raises(IntegrityError, match="of 2 touched accounts 1 have a balance"):
        ledger.append([entry("e:2")], Ask(actor=ME))
    assert conn.execute("select count(*) from ledger.records").fetchone() == before


def account(code: str) -> AccountDraft:
    return AccountDraft(code=code, type="asset", currency="USD", normal_balance="debit")


def entry(external_id: str) -> EntryDraft:
    sides = (("a", "debit"), ("b", "credit"))
    return EntryDraft(
        effective_at=datetime(2026, 11, 23, tzinfo=UTC),
        external_id=external_id,
        description="",
        postings=tuple(
            PostingDraft(account=code, direction=side, amount_minor=1, currency="USD") for code, side in sides
        ),
    )


def test_a_book_is_opened_by_its_first_record(conn: psycopg.Connection, runtime: Runtime) -> None:
    runtime.ledger("second")
    with runtime.engine.connect() as connection:
        first = text("select kind from ledger.records where book = 'second' and seq = 0")
        assert connection.execute(first).scalar_one() == "book"
        assert connection.execute(text("select count(*) from ledger.log_head")).scalar_one() == 2
