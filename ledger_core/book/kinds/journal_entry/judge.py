"""What the books allow of one entry: its accounts, its funds, what it refers to, and that it comes once.

Pure. Invariants: a refused entry leaves no trace; no balance passes below its account's floor; an entry is reversed at
most once, by its exact mirror image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ledger_core.book.kinds.journal_entry.facts import Duplicate, EntryFacts
from ledger_core.book.kinds.journal_entry.prepare import EntryItem
from ledger_core.book.posting.accounts import AccountState
from ledger_core.book.posting.judge import BatchJudge
from ledger_core.errors import (
    AccountNotOpen,
    AlreadyReversed,
    CurrencyMismatch,
    DuplicateExternalId,
    InsufficientFunds,
    ReferenceNotFound,
    Refused,
    UnknownAccount,
)
from ledger_core.journal.balances import signed_balance
from ledger_core.journal.cards import without_cards
from ledger_core.journal.entries import EntryDraft
from ledger_core.journal.money import decimal_from_minor
from ledger_core.kinds import Accepted


def judge_entry(judging: BatchJudge, item: EntryItem, facts: EntryFacts) -> Accepted:
    """Return `item` accepted, its accounts changed as it changes them. Raises `Refused` and changes nothing."""
    draft = item.draft
    external_id = draft.external_id
    known = facts.external_ids.get(external_id)
    if known is not None or external_id in facts.taken or external_id in facts.before:
        error = DuplicateExternalId(
            f"external_id {external_id!r} is taken.", entry_id="", identical=False, pointer="/external_id"
        )
        facts.duplicates.append(Duplicate(error, item, known))
        raise error
    if draft.reverses is not None or draft.corrects is not None:
        _check_references(item, facts)
    accounts = _accounts_of(item, judging.state.accounts)
    for account in accounts:
        if account.floor is not None:
            _check_funds(item, accounts)
            break
    book_entry(judging.deltas, judging.seq, draft, accounts)
    facts.taken.add(external_id)
    if draft.reverses is not None:
        facts.reversed.add(draft.reverses)
    return Accepted(item, item.body, accounts)


def book_entry(deltas: dict[int, list[int]], seq: int, draft: EntryDraft, accounts: Sequence[AccountState]) -> None:
    """Add the postings of the entry at `seq` to its accounts, and to `deltas`, what the batch adds to each of them."""
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


def _accounts_of(item: EntryItem, known: Mapping[str, AccountState]) -> list[AccountState]:
    accounts = []
    for index, posting in enumerate(item.draft.postings):
        account = known.get(posting.account)
        if account is None:
            raise UnknownAccount(
                f"there is no account {without_cards(posting.account)}.",
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


def _check_funds(item: EntryItem, accounts: list[AccountState]) -> None:
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


def _check_references(item: EntryItem, facts: EntryFacts) -> None:
    draft = item.draft
    for name, reference in (("reverses", draft.reverses), ("corrects", draft.corrects)):
        if reference is not None and reference not in facts.entry_ids:
            raise ReferenceNotFound(f"there is no entry {reference} in this book.", pointer=f"/{name}")
    if draft.reverses is None:
        return
    by = facts.reversed_by.get(draft.reverses)
    if by is not None or draft.reverses in facts.reversed:
        raise AlreadyReversed(
            f"entry {draft.reverses} is reversed already{f', by {by}' if by else ''}.", pointer="/reverses"
        )
    # A reversal takes both entries out of reconciliation: one of another amount would hide the difference.
    mine = sorted((line.account, line.direction, line.amount_minor, line.currency) for line in draft.postings)
    if mine != facts.mirrored.get(draft.reverses):
        raise Refused(
            f"a reversal has the postings of entry {draft.reverses} with their sides swapped.",
            pointer="/postings",
            remedy="Name the entry in `corrects` to adjust a part of it.",
        )


def undo_entry(accepted: Accepted, facts: EntryFacts) -> None:
    """Take back what `judge_entry` changed, but for the batch's deltas, which the group's judge puts back whole."""
    draft = accepted.item.draft
    for posting, account in zip(draft.postings, accepted.detail, strict=True):
        if posting.direction == "debit":
            account.debits -= posting.amount_minor
        else:
            account.credits -= posting.amount_minor
    facts.taken.discard(draft.external_id)
    if draft.reverses is not None:
        facts.reversed.discard(draft.reverses)
