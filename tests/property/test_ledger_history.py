"""Random histories through the real ledger, against a model that a reader can check by eye.

The model knows nothing of batches, logs or SQL: it takes one entry after the other. Whatever history hypothesis finds,
the ledger must decide the same, its balances must be the model's, and every projection must follow from the log.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from api.reversals import reverse
from ledger_core.actor import Actor
from ledger_core.errors import CounterfoilError
from ledger_core.evidence.check.checker import check_book
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import AccountChange, AccountDraft
from ledger_core.journal.entries import EntryDraft, PostingDraft, reversal_of
from ledger_core.log.merkle import verify_inclusion
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.ports import Ask, Declined, Posted
from ledger_core.reading import balances
from ledger_core.reading.entries import get_entry
from ledger_core.reading.heads import read_head
from ledger_core.runtime import Runtime

ACTOR = Actor(subject="model")
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
CHART = [
    AccountDraft(code="a:free", type="asset", currency="USD", normal_balance="debit"),
    AccountDraft(code="a:strict", type="asset", currency="USD", normal_balance="debit", overdraft="forbidden"),
    AccountDraft(code="l:limited", type="liability", currency="USD", normal_balance="credit", overdraft="30"),
    AccountDraft(code="r:euro", type="revenue", currency="EUR", normal_balance="credit"),
    AccountDraft(code="a:euro", type="asset", currency="EUR", normal_balance="debit"),
]
FLOORS = {"a:strict": 0, "l:limited": -30}
_books = itertools.count(1)


@dataclass
class Model:
    """What the books must be, entry by entry."""

    sums: dict[str, list[int]] = field(default_factory=lambda: {account.code: [0, 0] for account in CHART})
    frozen: set[str] = field(default_factory=set)
    taken: dict[str, EntryDraft] = field(default_factory=dict)
    reversed: set[str] = field(default_factory=set)

    def verdict(self, entry: EntryDraft) -> str:
        if entry.external_id in self.taken:
            return "duplicate_external_id"
        if entry.reverses in self.reversed:
            return "already_reversed"
        currencies = {account.code: account.currency for account in CHART}
        for posting in entry.postings:
            if posting.account not in currencies:
                return "unknown_account"
            if posting.account in self.frozen:
                return "account_not_open"
            if currencies[posting.account] != posting.currency:
                return "currency_mismatch"
        for code, floor in FLOORS.items():
            change = sum(self.signed(code, posting) for posting in entry.postings if posting.account == code)
            if change < 0 and self.balance(code) + change < floor:
                return "insufficient_funds"
        return "posted"

    def take(self, entry: EntryDraft) -> None:
        for posting in entry.postings:
            self.sums[posting.account][posting.direction == "credit"] += posting.amount_minor
        self.taken[entry.external_id] = entry
        if entry.reverses:
            self.reversed.add(entry.reverses)

    def signed(self, code: str, posting: PostingDraft) -> int:
        normal = next(account.normal_balance for account in CHART if account.code == code)
        return posting.amount_minor if posting.direction == normal else -posting.amount_minor

    def balance(self, code: str) -> int:
        debits, credits = self.sums[code]
        return debits - credits if code.startswith("a:") else credits - debits


@st.composite
def entries(draw: st.DrawFn) -> EntryDraft:
    currency = draw(st.sampled_from(["USD", "USD", "USD", "EUR"]))
    codes = ["a:free", "a:strict", "l:limited"] if currency == "USD" else ["r:euro", "a:euro"]
    codes += draw(st.sampled_from([[], [], [], ["a:none", "r:euro", "a:free"]]))
    amounts = draw(st.lists(st.integers(1, 25), min_size=1, max_size=3))
    debit, credit = draw(st.sampled_from(codes)), draw(st.sampled_from(codes))
    postings = [PostingDraft(account=debit, direction="debit", amount_minor=sum(amounts), currency=currency)]
    for amount in amounts:
        postings.append(PostingDraft(account=credit, direction="credit", amount_minor=amount, currency=currency))
    return EntryDraft(
        effective_at=MONDAY + timedelta(hours=draw(st.integers(-48, 48))),
        external_id=f"x{draw(st.integers(0, 40))}",
        description=draw(st.sampled_from(["", "ein Kauf für Ärger", "購入", "🧾"])),
        postings=tuple(postings),
        metadata=draw(st.sampled_from([{}, {"reference": "r"}, {"note": "ü"}])),
    )


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("post"), st.lists(entries(), min_size=1, max_size=8), st.booleans()),
        st.tuples(st.just("atomic"), st.lists(entries(), min_size=1, max_size=4), st.just(False)),
        st.tuples(st.just("reverse"), st.integers(0, 30), st.just(False)),
        st.tuples(st.just("freeze"), st.sampled_from([account.code for account in CHART]), st.booleans()),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.integration
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(steps=STEPS)
def test_the_ledger_decides_and_sums_as_the_model_does(runtime: Runtime, steps: list[tuple]) -> None:
    book = f"model{next(_books)}"
    ledger = runtime.ledger(book)
    apply_accounts(ledger, CHART, Ask(actor=ACTOR))
    model, posted, records = Model(), list[Posted](), 1 + len(CHART)
    for number, (what, subject, flag) in enumerate(steps):
        if what == "post":
            answer = ledger.append(subject, Ask(actor=ACTOR, key=f"k{number}" if flag else None))
            for entry, item in zip(subject, answer.items, strict=True):
                expected = model.verdict(entry)
                assert (item.error.code if isinstance(item, Declined) else "posted") == expected
                if isinstance(item, Posted):
                    model.take(entry)
                elif expected == "duplicate_external_id":
                    assert item.error.identical == (model.taken[entry.external_id] == entry)
            if flag and answer.posted:
                again = ledger.append(subject, Ask(actor=ACTOR, key=f"k{number}"))
                assert again.posted == answer.posted
                assert again.checkpoint == answer.checkpoint
            posted += answer.posted
            records += len(answer.posted)
            if answer.checkpoint:
                root = parse_checkpoint(parse_note(answer.checkpoint).text).root
                for item in answer.posted:
                    path = answer.inclusion(item)
                    assert verify_inclusion(item.leaf_hash, item.seq, answer.size, path, root)
        elif what == "atomic":
            trial = Model(
                {code: list(sums) for code, sums in model.sums.items()},
                set(model.frozen),
                dict(model.taken),
                set(model.reversed),
            )
            expected = "posted"
            for entry in subject:
                expected = trial.verdict(entry)
                if expected != "posted":
                    break
                trial.take(entry)
            if expected != "posted":
                with pytest.raises(CounterfoilError) as caught:
                    ledger.append(subject, Ask(actor=ACTOR), atomic=True)
                assert caught.value.code == expected
            else:
                answer = ledger.append(subject, Ask(actor=ACTOR), atomic=True)
                model = trial
                posted += answer.posted
                records += len(answer.posted)
        elif what == "reverse" and posted:
            original = posted[subject % len(posted)]
            assert original.entry is not None
            with runtime.engine.connect() as connection:
                recorded = get_entry(connection, book, original.id)
            assert recorded is not None
            draft = reversal_of(recorded, effective_at=MONDAY)
            expected = model.verdict(draft)
            item = reverse(ledger, runtime.engine, original.id, actor=ACTOR, now=MONDAY).items[0]
            if isinstance(item, Declined):
                told = "already_reversed" if expected == "duplicate_external_id" else expected
                assert item.error.code == told
            else:
                assert expected == "posted"
                model.take(draft)
                posted.append(item)
                records += 1
        elif what == "freeze":
            changed = ledger.append(
                [AccountChange(code=subject, status="frozen" if flag else "open")], Ask(actor=ACTOR), atomic=True
            )
            records += len(changed.posted)
            (model.frozen.add if flag else model.frozen.discard)(subject)
    ledger.close()
    _compare(runtime, book, model, records)


def _compare(runtime: Runtime, book: str, model: Model, records: int) -> None:
    with runtime.engine.connect() as connection:
        head = read_head(connection, book)
        assert (head.size, head.signed_size) == (records, records)
        trial = balances.trial_balance(connection, book)
        assert trial.balanced
        assert {line.account: [line.debits, line.credits] for line in trial.lines} == model.sums
        for moment in (MONDAY - timedelta(hours=3), MONDAY + timedelta(hours=3)):
            past = balances.trial_balance(connection, book, effective_at=moment)
            for line in past.lines:
                debits = sum(
                    posting.amount_minor
                    for entry in model.taken.values()
                    for posting in entry.postings
                    if entry.effective_at <= moment and (posting.account, posting.direction) == (line.account, "debit")
                )
                assert line.debits == debits
        for code in model.sums:
            page = balances.statement(connection, book, code, limit=3)
            lines = list(page.lines)
            while page.following:
                page = balances.statement(connection, book, code, limit=3, after=page.following)
                assert page.opening_minor == lines[-1].balance_minor
                lines += page.lines
            assert (lines[-1].balance_minor if lines else 0) == model.balance(code)
        unbalanced = connection.execute(
            text(
                "select count(*) from (select seq from ledger.postings where book = :book group by seq, currency "
                "having sum(case direction when 'debit' then amount_minor else -amount_minor end) <> 0) as wrong"
            ),
            {"book": book},
        ).scalar_one()
        assert unbalanced == 0
    report = check_book(runtime, book)
    assert not report.findings
