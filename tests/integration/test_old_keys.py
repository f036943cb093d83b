"""Idempotency keys are kept for a month; the nightly close forgets the older ones."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from ledger_core.actor import Actor
from ledger_core.book.posting.idempotency import KEPT
from ledger_core.journal.accounts import AccountDraft, AccountOpening
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime

pytestmark = pytest.mark.integration

ACTOR = Actor(subject="tester")


def draft(code: str) -> AccountDraft:
    return AccountDraft(code=code, type="asset", currency="USD", normal_balance="debit")


def test_the_close_forgets_the_keys_past_their_month_and_keeps_the_rest(runtime: Runtime, engine: Engine) -> None:
    ledger = runtime.ledger()
    for key in ("old", "young"):
        ledger.append([AccountOpening(account=draft(f"assets:{key}"))], Ask(actor=ACTOR, key=key), atomic=True)
    with engine.begin() as connection:
        age = "update ledger.idempotency set created_at = now() - :age where key = :key"
        connection.execute(text(age), [{"age": KEPT * 1.01, "key": "old"}, {"age": KEPT * 0.99, "key": "young"}])

    other = runtime.ledger("other")
    other.append([AccountOpening(account=draft("assets:old"))], Ask(actor=ACTOR, key="old"), atomic=True)
    with engine.begin() as connection:
        connection.execute(text(age + " and book = 'other'"), {"age": KEPT * 1.01, "key": "old"})

    assert runtime.forget_old_keys() == 1
    assert runtime.forget_old_keys() == 0

    with engine.connect() as connection:
        kept = connection.execute(
            text("select key from ledger.idempotency where book = 'main' and key in ('old', 'young')")
        ).scalars()
        assert list(kept) == ["young"]
        # Another book keeps its own, however old, until it is that book's turn.
        others = connection.execute(text("select key from ledger.idempotency where book = 'other'")).scalars()
        assert list(others) == ["old"]
    assert runtime.forget_old_keys("other") == 1
    assert ledger.append(
        [AccountOpening(account=draft("assets:young"))], Ask(actor=ACTOR, key="young"), atomic=True
    ).replayed
