"""An account: opened, brought to what a chart says, changed, frozen, closed; every version of it is a record.

`judge` says what becomes of it, `project` writes its tables, `recall` says what a stored record did to the accounts,
`derive` folds the tables from the log again, balances included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ledger_core.actor import Actor
from ledger_core.book.kinds.account.derive import Accounts
from ledger_core.book.kinds.account.derive_some import SomeAccounts
from ledger_core.book.kinds.account.judge import AccountItem, AccountVersion, judge_account
from ledger_core.book.kinds.account.project import project_account
from ledger_core.book.kinds.account.recall import RecalledVersion, recall_account
from ledger_core.errors import InvalidInput
from ledger_core.journal.accounts import AccountChange, AccountDraft, AccountOpening
from ledger_core.journal.cards import refuse_cards, texts_of
from ledger_core.kinds import Accepted, Kind, check_size
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.record import Record
from ledger_core.log.shapes import SHAPES
from ledger_core.ports import Draft, Unchanged

if TYPE_CHECKING:
    from psycopg import Connection

    from ledger_core.book.posting.accounts import BookState
    from ledger_core.book.posting.judge import BatchJudge
    from ledger_core.book.posting.recall import Recalling
    from ledger_core.evidence.check.checking import Checking

_ROUTES = {AccountDraft: "accounts", AccountOpening: "accounts/open", AccountChange: "accounts/change"}


class Account(Kind):
    """The kind `account`. The cached accounts are its facts: they outlive the batch."""

    def accepts(self, draft: Draft) -> bool:
        return type(draft) in _ROUTES

    def route(self, draft: Draft) -> str:
        return _ROUTES[type(draft)]

    def document(self, draft: AccountDraft | AccountOpening | AccountChange) -> Any:
        if isinstance(draft, AccountChange):
            return {"code": draft.code, **draft.members}
        account = draft.account if isinstance(draft, AccountOpening) else draft
        return {
            "code": account.code,
            "type": account.type,
            "currency": account.currency,
            "normal_balance": account.normal_balance,
            "overdraft": account.overdraft,
            "metadata": dict(account.metadata),
        }

    def prepare(self, draft: AccountDraft | AccountOpening | AccountChange, actor: Actor, who: bytes) -> AccountItem:
        document = self.document(draft)
        refuse_cards(texts_of(document))
        # Asked before the lock: a body that turned out not to be canonical there would leave its account in the cache.
        body = canonical_bytes({"account": document, "actor": actor.as_body()})
        check_size(body)
        return AccountItem(draft=draft, actor=actor, size_bytes=len(body))

    def read_facts(self, conn: Connection[Any], view: BookState, items: Sequence[AccountItem], before: Any) -> None:
        view.load(conn, {item.code for item in items})
        view.load_last_id(conn)

    def judge(self, judging: BatchJudge, item: AccountItem, facts: None) -> Accepted | Unchanged:
        version = judge_account(judging.state, item, judging.seq)
        if version is None:
            return Unchanged(code=item.code, stands=judging.state.accounts[item.code].changed_seq + 1)
        body = canonical_bytes(version.body)
        try:
            # Only here is known what else stands in the account that a change leaves.
            check_size(body)
        except InvalidInput:
            version.undo(judging.state)
            raise
        return Accepted(item, body, version)

    def undo(self, judging: BatchJudge, accepted: Accepted, facts: None) -> None:
        version: AccountVersion = accepted.detail
        version.undo(judging.state)

    def action(self, accepted: Accepted) -> str:
        version: AccountVersion = accepted.detail
        return version.action

    def project(self, conn: Connection[Any], book: str, accepted: Sequence[tuple[int, Accepted]]) -> None:
        for seq, each in accepted:
            project_account(conn, book, seq, each.detail.body)

    def recall(self, judging: Recalling, record: Record) -> Accepted:
        recall_account(judging.state, record)
        return Accepted(None, b"", RecalledVersion(record.body))

    def derive(self, checking: Checking) -> Accounts | SomeAccounts:
        if checking.only is not None:
            return SomeAccounts(checking.snapshot, checking.findings, checking.only)
        return Accounts(checking.snapshot, checking.findings)


ACCOUNT = Account(name="account", shape=SHAPES["account"])
AccountItem.kind = ACCOUNT
