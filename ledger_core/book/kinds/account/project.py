"""The tables `accounts` and `account_versions`: what a record's body means for them, posted or replayed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from psycopg import Connection


def project_account(conn: Connection[Any], book: str, seq: int, body: Mapping[str, Any]) -> None:
    """Write what the body of the record at `seq` means: the account's row, its version, a new one's empty balance."""
    account_id, account = body["account_id"], body["account"]
    metadata = orjson.dumps(account["metadata"]).decode()
    if body["action"] == "created":
        conn.execute(
            "insert into ledger.accounts (book, account_id, code, type, normal_balance, currency, status, overdraft, "
            "metadata, opened_seq, changed_seq) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                book, account_id, account["code"], account["type"], account["normal_balance"], account["currency"],
                account["status"], account["overdraft"], metadata, seq, seq,
            ],
        )  # fmt: skip
        conn.execute(
            "insert into ledger.balances (book, account_id, last_seq) values (%s, %s, %s)",
            [book, account_id, seq],
        )
    else:
        conn.execute(
            "update ledger.accounts set status = %s, overdraft = %s, metadata = %s, changed_seq = %s "
            "where book = %s and account_id = %s",
            [account["status"], account["overdraft"], metadata, seq, book, account_id],
        )
    conn.execute(
        "insert into ledger.account_versions (book, seq, account_id, code, type, normal_balance, currency, status, "
        "overdraft, metadata) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            book, seq, account_id, account["code"], account["type"], account["normal_balance"], account["currency"],
            account["status"], account["overdraft"], metadata,
        ],
    )  # fmt: skip
