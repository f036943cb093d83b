"""What becomes of an account record: created, changed, frozen or closed, or nothing at all.

Pure. Invariants: code, type, currency and normal balance of an account never change, since postings rely on
them; a closed account stays closed and had a balance of zero when it closed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from ledger_core.actor import Actor
from ledger_core.book.posting.accounts import AccountState, BookState
from ledger_core.errors import AccountNotOpen, Conflict, InsufficientFunds, PreconditionFailed, Refused, UnknownAccount
from ledger_core.journal.accounts import AccountChange, AccountDraft, AccountOpening
from ledger_core.journal.balances import overdraft_floor, signed_balance
from ledger_core.journal.cards import without_cards
from ledger_core.journal.money import decimal_from_minor
from ledger_core.kinds import Kind


@dataclass(slots=True, kw_only=True)
class AccountItem:
    """An account as somebody wants it, ready for the lock; its body is known only there."""

    draft: AccountDraft | AccountOpening | AccountChange
    actor: Actor
    size_bytes: int = 0
    """What the draft says; its record says at most as much again."""

    kind: ClassVar[Kind]
    body: ClassVar[bytes] = b""
    may_plan_ahead: ClassVar[bool] = False

    @property
    def code(self) -> str:
        return self.draft.account.code if isinstance(self.draft, AccountOpening) else self.draft.code


@dataclass(slots=True)
class AccountVersion:
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


def judge_account(state: BookState, item: AccountItem, seq: int) -> AccountVersion | None:
    """Return the version that makes the account what `item` asks for, None when it is so already.

    Raises `Refused`.
    """
    draft, code = item.draft, item.code
    account = state.accounts.get(code)
    if isinstance(draft, AccountChange):
        if account is None:
            raise UnknownAccount(f"there is no account {without_cards(code)}.")
        if draft.expected_seq is not None and draft.expected_seq != account.changed_seq:
            raise PreconditionFailed(
                f"account {code} was changed since it was read.", remedy="Read it again and decide anew."
            )
        return _change(account, item, draft.members, seq)
    wanted = draft.account if isinstance(draft, AccountOpening) else draft
    if account is None:
        return _create(state, item, wanted, seq)
    if isinstance(draft, AccountOpening):
        _refuse_other(account, wanted)
    _refuse_other_nature(account, wanted)
    return _change(account, item, {"overdraft": wanted.overdraft, "metadata": dict(wanted.metadata)}, seq)


def _create(state: BookState, item: AccountItem, draft: AccountDraft, seq: int) -> AccountVersion:
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
    state.keep(account)
    return AccountVersion("created", account, item, None)


def _change(account: AccountState, item: AccountItem, wanted: dict[str, Any], seq: int) -> AccountVersion | None:
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
    _refuse_floor_above_balance(account, wanted.get("overdraft", account.overdraft))
    before = {name: getattr(account, name) for name in (*names, "changed_seq")}
    action = {"frozen": "frozen", "closed": "closed"}.get(status, "changed") if status != account.status else "changed"
    for name in names:
        setattr(account, name, wanted.get(name, before[name]))
    account.floor = overdraft_floor(account.overdraft)
    account.changed_seq = seq
    return AccountVersion(action, account, item, before)


def _refuse_floor_above_balance(account: AccountState, overdraft: str) -> None:
    """Refuse a limit that the account is past already: it would promise what is not so. A wider one than now passes."""
    floor = overdraft_floor(overdraft)
    if floor is None or (account.floor is not None and floor <= account.floor):
        return
    balance = signed_balance(account.normal_balance, account.debits, account.credits)
    if balance < floor:
        raise InsufficientFunds(
            f"account {account.code} stands at {decimal_from_minor(balance, account.currency)} {account.currency}, "
            f"below {decimal_from_minor(floor, account.currency)}: the limit would not hold.",
            pointer="/overdraft",
            remedy="Bring the account up to the limit first.",
        )


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
