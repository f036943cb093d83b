"""What the books allow: the judgement of one batch, in order, over what was read under the lock.

Pure: no database, no clock. Each item is judged with the effect of the items before it. Invariants: a refused
item leaves no trace; an atomic group is taken whole or not at all; no balance passes below its account's
floor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger_core.book.posting.accounts import AccountChange, judge_account
from ledger_core.book.posting.idempotency import StoredOutcome
from ledger_core.book.posting.items import AccountItem, EntryItem, FaultyItem, RecordItem, Request
from ledger_core.book.posting.state import AccountState, BatchFacts, BookState, KnownEntry
from ledger_core.errors import (
    AccountNotOpen,
    AlreadyReversed,
    Conflict,
    CounterfoilError,
    CurrencyMismatch,
    DuplicateExternalId,
    InsufficientFunds,
    KeyReused,
    ReferenceNotFound,
    Refused,
    UnknownAccount,
)
from ledger_core.journal.balances import signed_balance
from ledger_core.journal.money import decimal_from_minor
from ledger_core.ports import Declined, Unchanged


@dataclass(slots=True)
class Accepted:
    """One record to append: the item, the accounts of its postings in order, or the change it makes to an account."""

    item: EntryItem | AccountItem | RecordItem
    accounts: list[AccountState] = field(default_factory=list)
    account_change: AccountChange | None = None


@dataclass(slots=True, kw_only=True)
class JudgedRequest:
    """What becomes of one request: its items in order, accepted or not; or a replay; or an error for the whole."""

    request: Request
    outcomes: list[Accepted | Declined | Unchanged] = field(default_factory=list)
    replay: StoredOutcome | None = None
    error: CounterfoilError | None = None

    @property
    def accepted(self) -> list[Accepted]:
        return [outcome for outcome in self.outcomes if type(outcome) is Accepted]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A refusal whose error still wants the holder's id and whether it says the same."""

    error: DuplicateExternalId
    item: EntryItem
    known: KnownEntry | None
    """The holder in the database, or None when it is in this very batch."""


@dataclass(slots=True, kw_only=True)
class JudgedBatch:
    """What becomes of a batch, and what it adds to each account: [debits, credits, last seq] by account id."""

    requests: list[JudgedRequest] = field(default_factory=list)
    deltas: dict[int, list[int]] = field(default_factory=dict)
    duplicates: list[Duplicate] = field(default_factory=list)


def judge(
    state: BookState,
    facts: BatchFacts,
    requests: Sequence[Request],
    *,
    first_seq: int,
    in_flight: Mapping[str, object] | None = None,
) -> JudgedBatch:
    """Judge `requests` in order; records will stand from `first_seq` on. Changes `state` as the accepted ones do.

    `in_flight` has the `external_id`s of a batch that is being written and that `facts` may not show yet.
    """
    judging = _Judge(state, facts, first_seq, in_flight or {})
    for request in requests:
        judging.batch.requests.append(judging.request(request))
    return judging.batch


class _Judge:
    def __init__(self, state: BookState, facts: BatchFacts, first_seq: int, in_flight: Mapping[str, object]) -> None:
        self.in_flight = in_flight
        self.state = state
        self.facts = facts
        self.seq = first_seq
        self.taken: set[str] = set()
        self.reversed: set[str] = set()
        self.batch = JudgedBatch()

    def request(self, request: Request) -> JudgedRequest:
        judged = JudgedRequest(request=request)
        if request.key is not None:
            stored = self.facts.outcomes.get((request.route, request.key))
            if stored is not None:
                if stored.fingerprint != request.fingerprint:
                    judged.error = KeyReused(
                        "this idempotency key was used with another request.",
                        remedy="Use a new key for a new request.",
                    )
                else:
                    judged.replay = stored
                return judged
        first_seq = self.seq
        deltas = {key: list(delta) for key, delta in self.batch.deltas.items()} if request.atomic else {}
        for index, item in enumerate(request.items):
            try:
                judged.outcomes.append(self._item(item))
            except CounterfoilError as error:
                judged.outcomes.append(Declined(error=error))
                if request.atomic:
                    self._undo(judged, first_seq, deltas)
                    error.context["index"] = index
                    break
        return judged

    def _item(self, item: Any) -> Accepted | Unchanged:
        if type(item) is EntryItem:
            accepted = self._entry(item)
        elif type(item) is AccountItem:
            made = judge_account(self.state, item, self.seq)
            if made is None:
                return Unchanged(code=item.code)
            accepted = Accepted(item, account_change=made)
        elif type(item) is RecordItem:
            self._check_export(item)
            accepted = Accepted(item)
        else:
            assert type(item) is FaultyItem
            raise item.error
        self.seq += 1
        return accepted

    def _entry(self, item: EntryItem) -> Accepted:
        draft = item.draft
        external_id = draft.external_id
        known = self.facts.external_ids.get(external_id)
        if known is not None or external_id in self.taken or external_id in self.in_flight:
            error = DuplicateExternalId(
                f"external_id {external_id!r} is taken.", entry_id="", identical=False, pointer="/external_id"
            )
            self.batch.duplicates.append(Duplicate(error, item, known))
            raise error
        if draft.reverses is not None or draft.corrects is not None:
            self._check_references(item)
        accounts = self._accounts_of(item)
        for account in accounts:
            if account.floor is not None:
                self._check_funds(item, accounts)
                break
        deltas = self.batch.deltas
        seq = self.seq
        for posting, account in zip(draft.postings, accounts, strict=True):
            delta = deltas.get(account.account_id)
            if delta is None:
                delta = deltas[account.account_id] = [0, 0, seq]
            if posting.direction == "debit":
                account.debits += posting.amount_minor
                delta[0] += posting.amount_minor
            else:
                account.credits += posting.amount_minor
                delta[1] += posting.amount_minor
            delta[2] = seq
        self.taken.add(external_id)
        if draft.reverses is not None:
            self.reversed.add(draft.reverses)
        return Accepted(item, accounts)

    def _accounts_of(self, item: EntryItem) -> list[AccountState]:
        known = self.state.accounts
        accounts = []
        for index, posting in enumerate(item.draft.postings):
            account = known.get(posting.account)
            if account is None:
                raise UnknownAccount(
                    f"there is no account {posting.account}.",
                    pointer=f"/postings/{index}/account",
                    remedy="Add it to the chart of accounts first.",
                )
            if account.status != "open":
                raise AccountNotOpen(
                    f"account {posting.account} is {account.status}.",
                    pointer=f"/postings/{index}/account",
                    remedy="Post to an open account; a frozen one can be opened again, a closed one stays closed.",
                )
            if account.currency != posting.currency:
                raise CurrencyMismatch(
                    f"account {posting.account} is kept in {account.currency}, the posting is in {posting.currency}.",
                    pointer=f"/postings/{index}/currency",
                    remedy=f"Post to an account kept in {posting.currency}.",
                )
            accounts.append(account)
        return accounts

    def _check_funds(self, item: EntryItem, accounts: list[AccountState]) -> None:
        """Refuse an entry that draws an account below its floor; one that only mends a low balance passes."""
        nets: dict[int, int] = {}
        limited: dict[int, tuple[int, AccountState]] = {}
        for index, (posting, account) in enumerate(zip(item.draft.postings, accounts, strict=True)):
            if account.floor is None:
                continue
            grows = (posting.direction == "debit") == account.debit_normal
            amount = posting.amount_minor if grows else -posting.amount_minor
            nets[account.account_id] = nets.get(account.account_id, 0) + amount
            limited[account.account_id] = (index, account)
        for account_id, net in nets.items():
            index, account = limited[account_id]
            balance = signed_balance(account.normal_balance, account.debits, account.credits)
            assert account.floor is not None
            if net < 0 and balance + net < account.floor:
                available = decimal_from_minor(balance - account.floor, account.currency)
                raise InsufficientFunds(
                    f"account {account.code} has {available} {account.currency} available, "
                    f"the entry draws {decimal_from_minor(-net, account.currency)}.",
                    pointer=f"/postings/{index}/amount",
                )

    def _check_references(self, item: EntryItem) -> None:
        draft = item.draft
        for name, reference in (("reverses", draft.reverses), ("corrects", draft.corrects)):
            if reference is not None and reference not in self.facts.entry_ids:
                raise ReferenceNotFound(f"there is no entry {reference} in this book.", pointer=f"/{name}")
        if draft.reverses is None:
            return
        by = self.facts.reversed_by.get(draft.reverses)
        if by is not None or draft.reverses in self.reversed:
            raise AlreadyReversed(
                f"entry {draft.reverses} is reversed already{f', by {by}' if by else ''}.", pointer="/reverses"
            )
        # A reversal takes both entries out of reconciliation: one of another amount would hide the difference.
        mine = sorted((line.account, line.direction, line.amount_minor, line.currency) for line in draft.postings)
        if mine != self.facts.mirrored.get(draft.reverses):
            raise Refused(
                f"a reversal has the postings of entry {draft.reverses} with their sides swapped.",
                pointer="/postings",
                remedy="Name the entry in `corrects` to adjust a part of it.",
            )

    def _check_export(self, item: RecordItem) -> None:
        if item.kind != "export":
            return
        segment, closed_on = item.members["segment"], item.members["closed_on"]
        if segment in self.facts.exports or closed_on in self.facts.exports:
            raise Conflict(f"segment {segment} or the export of {closed_on} is recorded already.")
        self.facts.exports |= {segment, closed_on}

    def _undo(self, judged: JudgedRequest, first_seq: int, deltas: dict[int, list[int]]) -> None:
        """Take back what an atomic group did before its first refusal, and refuse all of it with that error."""
        refused = judged.outcomes[-1]
        assert isinstance(refused, Declined)
        for each in reversed(judged.accepted):
            if each.account_change is not None:
                each.account_change.undo(self.state)
            if type(each.item) is not EntryItem:
                continue
            draft = each.item.draft
            for posting, account in zip(draft.postings, each.accounts, strict=True):
                if posting.direction == "debit":
                    account.debits -= posting.amount_minor
                else:
                    account.credits -= posting.amount_minor
            self.taken.discard(draft.external_id)
            if draft.reverses is not None:
                self.reversed.discard(draft.reverses)
        self.batch.deltas = deltas
        self.seq = first_seq
        judged.outcomes = []
        judged.error = refused.error
