"""What an account record of the log did to the accounts, for a book that is rebuilt from its records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger_core.book.posting.accounts import AccountState, BookState
from ledger_core.journal.balances import overdraft_floor
from ledger_core.log.record import Record


@dataclass(frozen=True, slots=True)
class RecalledVersion:
    """A version of an account that the log holds already; its `body` is all that its projection reads."""

    body: Mapping[str, Any]


def recall_account(state: BookState, record: Record) -> None:
    """Bring `state` to what it was after `record`. Raises `KeyError` for a change of an account that nobody opened."""
    body = record.body
    account = body["account"]
    if body["action"] == "created":
        state.keep(
            AccountState(
                body["account_id"],
                account["code"],
                account["type"],
                account["normal_balance"],
                account["currency"],
                account["status"],
                account["overdraft"],
                account["metadata"],
                0,
                0,
                record.seq,
            )
        )
        return
    known = state.accounts[account["code"]]
    known.status = account["status"]
    known.overdraft = account["overdraft"]
    known.metadata = account["metadata"]
    known.changed_seq = record.seq
    known.floor = overdraft_floor(known.overdraft)
