"""The tables `accounts` and `account_versions`, as transaction 1 writes them."""

from __future__ import annotations

from typing import Any

import orjson
from psycopg import Connection

from ledger_core.book.kinds.account.judge import AccountVersion


def project_account(conn: Connection[Any], book: str, seq: int, version: AccountVersion) -> None:
    """Write the row of `accounts`, its version, and the empty balance of a new account."""
    account = version.account
    body = version.body["account"]
    metadata = orjson.dumps(body["metadata"]).decode()
    if version.action == "created":
        conn.execute(
            "insert into ledger.accounts (book, account_id, code, type, normal_balance, currency, status, overdraft, "
            "metadata, opened_seq, changed_seq) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                book, account.account_id, account.code, account.type, account.normal_balance, account.currency,
                body["status"], body["overdraft"], metadata, seq, seq,
            ],
        )  # fmt: skip
        conn.execute(
            "insert into ledger.balances (book, account_id, last_seq) values (%s, %s, %s)",
            [book, account.account_id, seq],
        )
    else:
        conn.execute(
            "update ledger.accounts set status = %s, overdraft = %s, metadata = %s, changed_seq = %s "
            "where book = %s and account_id = %s",
            [body["status"], body["overdraft"], metadata, seq, book, account.account_id],
        )
    conn.execute(
        "insert into ledger.account_versions (book, seq, account_id, code, type, normal_balance, currency, status, "
        "overdraft, metadata) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            book, seq, account.account_id, account.code, account.type, account.normal_balance, account.currency,
            body["status"], body["overdraft"], metadata,
        ],
    )  # fmt: skip
