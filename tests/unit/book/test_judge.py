"""A batch is judged item by item; what is refused leaves no trace in what the writer remembers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger_core.actor import Actor
from ledger_core.book.kinds import Kinds
from ledger_core.book.kinds.account import ACCOUNT
from ledger_core.book.kinds.export import EXPORT, ExportFacts
from ledger_core.book.kinds.journal_entry import JOURNAL_ENTRY
from ledger_core.book.kinds.journal_entry.facts import EntryFacts
from ledger_core.book.posting.accounts import AccountState, BookState
from ledger_core.book.posting.idempotency import StoredOutcome
from ledger_core.book.posting.judge import BatchJudge, JudgedRequest
from ledger_core.book.shaping import requests_of
from ledger_core.errors import AlreadyReversed, Conflict, InsufficientFunds, KeyReused, UnknownAccount
from ledger_core.journal.accounts import AccountChange, AccountDraft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.kinds import Accepted
from ledger_core.ports import Ask, Declined, Draft, RecordDraft, Unchanged

ME = Actor(subject="tester")
EARLIER = "0198c1f4-0000-7000-8000-000000000001"


def state_of(
    code: str, id: int, *, overdraft: str = "allowed", type: str = "asset", side: str = "debit"
) -> AccountState:
    return AccountState(id, code, type, side, "USD", "open", overdraft, {}, 0, 0, id)


class Desk:
    """One batch on a book of three accounts, of which cash may not be overdrawn."""

    def __init__(self) -> None:
        accounts = [
            state_of("assets:cash", 1, overdraft="forbidden"),
            state_of("revenue:sales", 2, type="revenue", side="credit"),
            state_of("assets:spare", 3),
        ]
        self.state = BookState(book="main", accounts={each.code: each for each in accounts}, last_account_id=3)
        self.state.missing.add("assets:new")
        self.entries = EntryFacts()
        self.exports = ExportFacts(signed_size=100)
        facts = {ACCOUNT: None, JOURNAL_ENTRY: self.entries, EXPORT: self.exports}
        self.judge = BatchJudge(self.state, facts, {}, 10)

    def ask(self, *drafts: Draft, atomic: bool = False) -> JudgedRequest:
        (request,) = requests_of(Kinds(), drafts, Ask(actor=ME), atomic=atomic)
        return self.judge.request(request)

    def picture(self) -> Any:
        """Return all that a refused group must leave as it was."""
        names = AccountState.__slots__
        accounts = {code: {name: getattr(each, name) for name in names} for code, each in self.state.accounts.items()}
        facts = self.entries
        return (
            accounts, set(self.state.missing), self.state.last_account_id, self.judge.seq,
            {id: list(delta) for id, delta in self.judge.deltas.items()},
            set(facts.taken), set(facts.reversed), replace(self.exports, days=set(self.exports.days)),
        )  # fmt: skip


def account(code: str) -> AccountDraft:
    return AccountDraft(code=code, type="asset", currency="USD", normal_balance="debit")


def sale(external_id: str, amount: int = 5, *, back: bool = False, cash: str = "assets:cash") -> EntryDraft:
    sides = ("credit", "debit") if back else ("debit", "credit")
    return EntryDraft(
        effective_at=datetime(2026, 11, 23, tzinfo=UTC),
        external_id=external_id,
        description="",
        postings=tuple(
            PostingDraft(account=code, direction=side, amount_minor=amount, currency="USD")
            for code, side in zip((cash, "revenue:sales"), sides, strict=True)
        ),
    )


def export(segment: int, day: int) -> RecordDraft:
    place = {"first_seq": 10 * segment - 10, "next_seq": 10 * segment}
    body = {"closed_on": f"2026-10-{day}", "segment": segment, **place, "uri": "file:///a"}
    return RecordDraft(kind="export", body={**body, "manifest_sha256": "a" * 64})


def how(judged: JudgedRequest) -> list[type]:
    return [type(outcome.error) if isinstance(outcome, Declined) else type(outcome) for outcome in judged.outcomes]


def refused(judged: JudgedRequest) -> BaseException:
    assert judged.outcomes == []
    assert judged.error is not None
    return judged.error


GROUPS: list[Sequence[Draft]] = [
    [account("assets:new")],
    [account("assets:new"), sale("a", cash="assets:new")],
    [AccountChange(code="assets:spare", overdraft="forbidden", metadata={"a": "1"}), sale("a", cash="assets:spare")],
    [AccountChange(code="assets:cash", overdraft="allowed"), AccountChange(code="assets:cash", overdraft="100")],
    [AccountChange(code="assets:spare", status="frozen"), AccountChange(code="assets:spare", status="open")],
    [sale("a"), sale("b", 3), sale("c", 2, back=True)],
    [export(1, 30), export(2, 31)],
    [sale("a"), export(1, 30), account("assets:new"), sale("b", cash="assets:new")],
]


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_that_falls_leaves_no_trace_and_what_came_before_it_stays(group: Sequence[Draft]) -> None:
    desk = Desk()
    desk.ask(sale("before", 7))
    was = desk.picture()
    error = refused(desk.ask(*group, sale("spoiler", cash="assets:none"), atomic=True))
    assert isinstance(error, UnknownAccount)
    assert error.context["index"] == len(group)
    assert desk.picture() == was
    taken = desk.ask(*group, atomic=True)
    assert how(taken) == [Accepted] * len(group)
    assert desk.judge.seq == was[3] + len(group)


def test_a_group_with_a_reversal_that_falls_may_be_asked_again_and_then_not_twice() -> None:
    desk = Desk()
    desk.ask(sale("before", 7))
    desk.entries.entry_ids[EARLIER] = 4
    undone = replace(sale("undo", 5, back=True), reverses=EARLIER)
    lines = [(each.account, each.direction, each.amount_minor, each.currency) for each in undone.postings]
    desk.entries.mirrored[EARLIER] = sorted(lines)
    was = desk.picture()
    refused(desk.ask(undone, sale("spoiler", cash="assets:none"), atomic=True))
    assert desk.picture() == was
    assert how(desk.ask(undone, replace(undone, external_id="again"))) == [Accepted, AlreadyReversed]


def test_a_segment_and_a_date_are_exported_once_in_a_batch() -> None:
    answer = Desk().ask(export(1, 30), export(1, 31), export(2, 30), export(2, 31))
    assert how(answer) == [Accepted, Conflict, Conflict, Accepted]


def test_an_account_that_is_so_already_stands_with_the_record_that_made_it_so() -> None:
    desk = Desk()
    made, found = desk.ask(account("assets:new"), account("assets:new")).outcomes
    assert type(made) is Accepted
    assert isinstance(found, Unchanged)
    assert found.stands == 11
    (changed,) = desk.ask(AccountChange(code="assets:new", metadata={"a": "1"})).outcomes
    assert type(changed) is Accepted
    (found,) = desk.ask(AccountChange(code="assets:new", metadata={"a": "1"})).outcomes
    assert isinstance(found, Unchanged)
    assert found.stands == 12


def test_a_change_of_the_overdraft_rule_counts_for_the_next_entry() -> None:
    desk = Desk()
    assert how(desk.ask(sale("a", back=True))) == [InsufficientFunds]
    desk.ask(AccountChange(code="assets:cash", overdraft="allowed"))
    assert how(desk.ask(sale("a", back=True))) == [Accepted]
    # At -5 it cannot be promised that it is never below nothing.
    assert how(desk.ask(AccountChange(code="assets:cash", overdraft="forbidden"))) == [InsufficientFunds]
    assert how(desk.ask(AccountChange(code="assets:cash", overdraft="5"))) == [Accepted]
    assert how(desk.ask(sale("b", back=True))) == [InsufficientFunds]
    # A wider limit is no such promise, though the account is below nothing still.
    assert how(desk.ask(AccountChange(code="assets:cash", overdraft="9"))) == [Accepted]
    assert how(desk.ask(sale("c"), AccountChange(code="assets:cash", overdraft="forbidden"))) == [Accepted, Accepted]


def test_a_made_account_is_no_longer_missing() -> None:
    desk = Desk()
    desk.ask(account("assets:new"))
    assert "assets:new" not in desk.state.missing
    assert desk.state.accounts["assets:new"].account_id == 4


def test_a_stored_key_answers_the_same_request_and_refuses_another() -> None:
    state = BookState(book="main")
    same, other = (next(requests_of(Kinds(), [sale(name)], Ask(actor=ME, key="k"), atomic=False)) for name in "ab")
    assert same.fingerprint is not None
    stored = StoredOutcome(fingerprint=same.fingerprint, first_seq=4, count=1, outcome=[])
    judge = BatchJudge(state, {JOURNAL_ENTRY: EntryFacts()}, {("journal-entries", "k"): stored}, 10)
    assert judge.request(same).replay is stored
    reused = judge.request(other)
    assert reused.replay is None
    assert isinstance(reused.error, KeyReused)
    assert judge.seq == 10
