"""Under load batches are planned ahead of the lock; the answers must be those of one batch after the other."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from ledger_core.actor import Actor
from ledger_core.book.ledger import Ledger
from ledger_core.errors import DuplicateExternalId, InsufficientFunds
from ledger_core.evidence.check.checker import check_book
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import AccountDraft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.ports import Answer, Ask, Declined, Posted
from ledger_core.reading import balances
from ledger_core.runtime import Runtime

pytestmark = pytest.mark.integration

ACTOR = Actor(subject="load")
CALLERS, ROUNDS, BATCH = 6, 4, 1_000


def entry(external_id: str, debit: str, credit: str, amount: int = 1) -> EntryDraft:
    return EntryDraft(
        effective_at=datetime(2026, 11, 23, tzinfo=UTC),
        external_id=external_id,
        description="",
        postings=tuple(
            PostingDraft(account=code, direction=side, amount_minor=amount, currency="USD")
            for code, side in ((debit, "debit"), (credit, "credit"))
        ),
    )


def test_full_batches_that_compete_are_decided_as_if_they_came_one_by_one(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = runtime.ledger()
    assert isinstance(ledger, Ledger)
    planned = []
    planner = ledger._sequencer._writer.planner
    plan_ahead = planner.plan_ahead
    monkeypatch.setattr(planner, "plan_ahead", lambda *given: planned.append(plan_ahead(*given)) or planned[-1])
    apply_accounts(
        ledger,
        [
            AccountDraft(
                code="assets:purse", type="asset", currency="USD", normal_balance="debit", overdraft="forbidden"
            ),
            AccountDraft(code="revenue:sales", type="revenue", currency="USD", normal_balance="credit"),
        ],
        Ask(actor=ACTOR),
    )
    ledger.append([entry("fill", "assets:purse", "revenue:sales", 5_000)], Ask(actor=ACTOR))
    start = threading.Barrier(CALLERS)

    def call(caller: int) -> list[Answer]:
        # Half of every batch is what the other callers post too; all of it draws on one purse.
        start.wait()
        answers = []
        for number in range(ROUNDS):
            ids = [f"shared:{number}:{n}" for n in range(BATCH // 2)]
            ids += [f"own:{caller}:{number}:{n}" for n in range(BATCH // 2)]
            drafts = [entry(id, "revenue:sales", "assets:purse") for id in ids]
            answers.append(ledger.append(drafts, Ask(actor=ACTOR)))
        return answers

    with ThreadPoolExecutor(CALLERS) as pool:
        answers = [answer for found in pool.map(call, range(CALLERS)) for answer in found]
    items = [item for answer in answers for item in answer.items]
    posted = [item for item in items if isinstance(item, Posted)]
    refused = {type(item.error) for item in items if isinstance(item, Declined)}
    assert len(posted) == 5_000
    assert refused == {DuplicateExternalId, InsufficientFunds}
    assert len({item.entry.external_id for item in posted if item.entry}) == len(posted)
    for item in items:
        if isinstance(item, Declined) and isinstance(item.error, DuplicateExternalId):
            assert item.error.identical
            assert item.error.entry_id
    with runtime.engine.connect() as connection:
        assert balances.balance(connection, "main", "assets:purse").amount_minor == 0
    assert any(plan is not None for plan in planned), "nothing was planned ahead: the test shows nothing"
    ledger.close()
    assert not check_book(runtime, "main").findings
