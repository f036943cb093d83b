"""The views that are a schema's face: who may read them, and what they say."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ProgrammingError

from ledger_core.base.engine import make_engine

pytestmark = pytest.mark.integration

FACES = (
    "ledger.heads", "ledger.posted_entries", "ledger.posted_postings", "ledger.posted_account_versions",
    "ledger.posted_balances", "raw.current_files", "raw.canonical_events", "raw.bank_claims", "raw.control_totals",
    "raw.quarantine", "raw.file_replacements", "raw.payout_signs", "raw.refused_files", "recon.runs", "recon.breaks",
)  # fmt: skip


@pytest.mark.parametrize("role", ["writer", "reader", "dbt", "auditor"])
def test_every_role_that_reads_reads_every_face(database_url: str, role: str) -> None:
    engine = make_engine(database_url, role=role)
    try:
        with engine.connect() as connection:
            for face in FACES:
                connection.execute(text(f"select * from {face} limit 1"))
    finally:
        engine.dispose()


@pytest.mark.parametrize("face", FACES)
def test_dagsters_role_keeps_runs_and_reads_no_face(database_url: str, face: str) -> None:
    engine = make_engine(database_url, role="dagster")
    try:
        with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied for schema"):
            connection.execute(text(f"select * from {face} limit 1"))
    finally:
        engine.dispose()


def test_a_file_counts_for_the_days_that_nothing_replaces(engine: Engine) -> None:
    with engine.begin() as connection:
        old, new, half, other = (land(connection, name) for name in ("old.csv", "new.csv", "half.csv", "other.csv"))
        for older, newer, last in ((old, new, 9), (half, new, 3), (half, other, 5)):
            connection.execute(
                text("insert into raw.file_replacements values (:older, :newer, '2026-10-01', cast(:last as date))"),
                {"older": older, "newer": newer, "last": f"2026-10-0{last}"},
            )
        rows = connection.execute(
            text(
                "select file_id, is_current, counting_days::text, cardinality(replaced_by), superseded_by is not null"
                " from raw.current_files"
            )
        )
        assert {tuple(row) for row in rows} == {
            (old, False, "{}", 1, True),
            (half, True, "{[2026-10-06,2026-10-10)}", 2, True),
            (new, True, "{[2026-10-01,2026-10-10)}", 0, False),
            (other, True, "{[2026-10-01,2026-10-10)}", 0, False),
        }


def test_a_head_and_a_balance_say_what_the_ledgers_own_rows_say(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into ledger.log_head (book, origin, size, signed_size, last_leaf, frontier)"
                " values ('main', 'example.org/test/main', 3, 2, decode(repeat('00', 32), 'hex'), '')"
            )
        )
        connection.execute(
            text(
                "insert into ledger.accounts"
                " values ('main', 1, 'a', 'asset', 'debit', 'EUR', 'open', 'allowed', '{}', 1, 1)"
            )
        )
        connection.execute(text("insert into ledger.balances values ('main', 1, 7, 5, 2)"))
        head = connection.execute(text("select * from ledger.heads")).one()
        balance = connection.execute(text("select * from ledger.posted_balances")).one()
    assert tuple(head) == ("main", "example.org/test/main", 3, 2, None)
    assert (balance.debits, balance.credits, balance.currency, balance.signed_size) == (7, 5, "EUR", 2)


def land(connection: Connection, name: str) -> uuid.UUID:
    file_id = uuid.uuid4()
    connection.execute(
        text(
            "insert into raw.files (file_id, book, source, provider, account, name, sha256, stored_sha256, bytes,"
            " object_name, received_at, record_type, first_on, last_on, parser_version, status, rows_read,"
            " rows_accepted, rows_quarantined) values (:id, 'main', 'stripe_report', 'stripe', 'default', :name, :sha,"
            " :sha, 1, :name, now(), 'payouts', '2026-10-01', '2026-10-09', 1, 'landed', 0, 0, 0)"
        ),
        {"id": file_id, "name": name, "sha": file_id.hex * 2},
    )
    return file_id
