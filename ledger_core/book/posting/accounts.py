"""What becomes of an account record: created, changed, frozen or closed, or nothing at all.

Pure. Invariants: code, type, currency and normal balance of an account never change, since postings rely on
them; a closed account stays closed and had a balance of zero when it closed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ledger_core.book.posting.items import AccountItem
from ledger_core.book.posting.state import AccountState, BookState
from ledger_core.errors import AccountNotOpen, Conflict, PreconditionFailed, Refused, UnknownAccount
from ledger_core.journal.accounts import AccountDraft
from ledger_core.journal.balances import overdraft_floor


@dataclass(slots=True)
class AccountChange:
    """One account record to append; `before` undoes it in the cached state."""

    action: str
    account: AccountState
    item: AccountItem
    before: dict[str, Any] | None
    """The mutable members as they were, or None for a new account."""
    body: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        # Taken now: a later item of the same batch may change the account again.
        account = self.account
        self.body = {
            "account": {
                "code": account.code,
                "currency": account.currency,
                "metadata": account.metadata,
                "normal_balance": account.normal_balance,
                "overdraft": account.overdraft,
                "status": account.status,
                "type": account.type,
            },
            "account_id": account.account_id,
            "action": self.action,
            "actor": self.item.actor.as_body(),
        }

    def undo(self, state: BookState) -> None:
        """Put the cached state back."""
        if self.before is None:
            assert state.last_account_id is not None
            del state.accounts[self.account.code]
            state.missing.add(self.account.code)
            state.last_account_id -= 1
            return
        for name, value in self.before.items():
            setattr(self.account, name, value)
        self.account.floor = overdraft_floor(self.account.overdraft)


def judge_account(state: BookState, item: AccountItem, seq: int) -> AccountChange | None:
    """Return the change that makes the account what `item` asks for, None when it is so already.

    Raises `Refused`.
    """
    account = state.accounts.get(item.code)
    if item.draft is not None and account is None:
        return _create(state, item, item.draft, seq)
    if account is None:
        raise UnknownAccount(f"there is no account {item.code}.")
    if item.expected_seq is not None and item.expected_seq != account.changed_seq:
        raise PreconditionFailed(
            f"account {item.code} was changed since it was read.", remedy="Read it again and decide anew."
        )
    wanted = dict(item.change)
    if item.only_open and item.draft is not None:
        _refuse_other(account, item.draft)
    if item.draft is not None:
        _refuse_other_nature(account, item.draft)
        wanted = {"overdraft": item.draft.overdraft, "metadata": dict(item.draft.metadata)}
    return _change(account, item, wanted, seq)


def _create(state: BookState, item: AccountItem, draft: AccountDraft, seq: int) -> AccountChange:
    assert state.last_account_id is not None, "loaded with the batch that makes accounts"
    state.last_account_id += 1
    account = AccountState(
        state.last_account_id,
        draft.code,
        draft.type,
        draft.normal_balance,
        draft.currency,
        "open",
        draft.overdraft,
        dict(draft.metadata),
        0,
        0,
        seq,
    )
    state.accounts[draft.code] = account
    state.missing.discard(draft.code)
    return AccountChange("created", account, item, None)


def _change(account: AccountState, item: AccountItem, wanted: dict[str, Any], seq: int) -> AccountChange | None:
    names = ("status", "overdraft", "metadata")
    if all(getattr(account, name) == wanted.get(name, getattr(account, name)) for name in names):
        return None
    status = wanted.get("status", account.status)
    if account.status == "closed":
        raise AccountNotOpen(f"account {account.code} is closed, and stays so.", remedy="Open a new account.")
    if status == "closed" and account.debits != account.credits:
        raise Refused(
            f"account {account.code} has a balance and cannot be closed.", remedy="Move the balance away first."
        )
    before = {name: getattr(account, name) for name in (*names, "changed_seq")}
    action = {"frozen": "frozen", "closed": "closed"}.get(status, "changed") if status != account.status else "changed"
    for name in names:
        setattr(account, name, wanted.get(name, before[name]))
    account.floor = overdraft_floor(account.overdraft)
    account.changed_seq = seq
    return AccountChange(action, account, item, before)


def _refuse_other(account: AccountState, draft: AccountDraft) -> None:
    for name in ("type", "currency", "normal_balance", "overdraft", "metadata"):
        if getattr(account, name) != getattr(draft, name):
            raise Conflict(
                f"account {account.code} stands already, with another {name}.",
                pointer=f"/{name}",
                remedy="Change the account that stands, or open one with another code.",
            )


def _refuse_other_nature(account: AccountState, draft: AccountDraft) -> None:
    for name in ("type", "currency", "normal_balance"):
        if getattr(account, name) != getattr(draft, name):
            raise Refused(
                f"account {account.code} has {name} {getattr(account, name)}, which cannot become "
                f"{getattr(draft, name)}.",
                pointer=f"/{name}",
                remedy="Postings rely on it: open another account.",
            )
