"""The views that are a schema's face: who may read them, and what they say."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from ledger_core.base.engine import make_engine

pytestmark = pytest.mark.integration

FACES = (
    "ledger.heads", "ledger.posted_entries", "ledger.posted_postings", "ledger.posted_account_versions",
    "ledger.posted_balances", "raw.current_files", "raw.canonical_events", "raw.bank_claims", "raw.control_totals",
    "raw.quarantine", "raw.file_replacements", "raw.payout_signs", "raw.refused_files", "recon.runs", "recon.breaks",
)  # fmt: skip


@pytest.mark.parametrize("role", ["writer", "reader", "dbt", "dagster", "auditor"])
def test_every_role_reads_every_face(database_url: str, role: str) -> None:
    engine = make_engine(database_url, role=role)
    try:
        with engine.connect() as connection:
            for face in FACES:
                connection.execute(text(f"select * from {face} limit 1"))
    finally:
        engine.dispose()


def test_of_a_file_and_its_newer_version_only_the_newer_one_is_current(engine: Engine) -> None:
    with engine.begin() as connection:
        old = land(connection, "report.csv")
        new = land(connection, "report, corrected.csv", supersedes=old)
        other = land(connection, "other.csv")
        rows = connection.execute(
            text("select file_id, is_current, superseded_by, superseded_by_name from raw.current_files")
        )
        assert {tuple(row) for row in rows} == {
            (old, False, new, "report, corrected.csv"),
            (new, True, None, None),
            (other, True, None, None),
        }


def test_a_file_has_one_newer_version_at_most(engine: Engine) -> None:
    with engine.connect() as connection:
        old = land(connection, "report.csv")
        land(connection, "first.csv", supersedes=old)
        with pytest.raises(IntegrityError, match="files_supersedes"):
            land(connection, "second.csv", supersedes=old)


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


def land(connection: Connection, name: str, *, supersedes: uuid.UUID | None = None) -> uuid.UUID:
    file_id = uuid.uuid4()
    connection.execute(
        text(
            "insert into raw.files (file_id, book, source, provider, account, name, sha256, stored_sha256, bytes,"
            " object_name, received_at, record_type, parser_version, status, supersedes, rows_read, rows_accepted,"
            " rows_quarantined) values (:id, 'main', 'stripe_report', 'stripe', 'default', :name, :sha, :sha, 1, :name,"
            " now(), 'payouts', 1, 'landed', :supersedes, 0, 0, 0)"
        ),
        {"id": file_id, "name": name, "sha": file_id.hex * 2, "supersedes": supersedes},
    )
    return file_id
