"""Card numbers: nothing that is signed can be unsaid, so none is taken, and nothing of a refused one is kept."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from ledger_core.errors import (
    InvalidInput,
)
from ledger_core.journal.accounts import AccountChange, account_draft
from ledger_core.ports import Ask, Declined, Draft, RecordDraft
from ledger_core.runtime import Runtime
from tests.integration.batches.shared import CARD, ME, export, on, sale

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("draft", "pointer"),
    [
        (sale("e:1", description=f"paid by {CARD}."), "/description"),
        (sale("e:1", description="4111 1111 1111 1111"), "/description"),
        (sale("e:1", description="3782-822463-10005 amex"), "/description"),
        (sale(CARD), "/external_id"),
        (sale(f"card:{CARD}"), "/external_id"),
        (sale("e:1", metadata={"note": CARD}), "/metadata/note"),
        (sale("e:1", metadata={"a": "1", "note": "x\n6011000990139424"}), "/metadata/note"),
        (sale("e:1", metadata={CARD: "x"}), "/metadata/************1111"),
        (account_draft(code=f"assets:{CARD}:usd", type="asset", currency="USD"), "/code"),
        (account_draft(code="assets:4111-1111-1111-1111", type="asset", currency="USD"), "/code"),
        (account_draft(code="a:b", type="asset", currency="USD", metadata={"note": CARD}), "/metadata/note"),
        (account_draft(code="a:b", type="asset", currency="USD", metadata={CARD: ""}), "/metadata/************1111"),
        (AccountChange(code="assets:cash", metadata={"note": CARD}), "/metadata/note"),
        (RecordDraft(kind="security_event", body={"seen": ["a", {"by": f"hook {CARD}"}]}), "/body/seen/1/by"),
        (RecordDraft(kind="security_event", body={CARD: 1}), "/body/************1111"),
        (RecordDraft(kind="reconciliation_run", body={"manifest": {"note": CARD}}), "/body/manifest/note"),
        (RecordDraft(kind="moody", body={"word": CARD}), "/body/word"),
        (export(uri=f"file:///cards/{CARD}/x"), "/body/uri"),
    ],
)
def test_a_card_number_is_refused_wherever_it_stands_and_nothing_of_it_is_kept(
    house: Runtime, engine: Engine, draft: Draft, pointer: str
) -> None:
    ledger = house.ledger()
    with pytest.raises(InvalidInput, match="looks like a card number") as refused:
        ledger.append([draft], Ask(actor=ME, key="k"), atomic=True)
    assert refused.value.pointer == pointer
    declined, _ = ledger.append([draft, sale("neighbour")], Ask(actor=ME, key="l")).items
    assert isinstance(declined, Declined)
    dry = ledger.dry_run(draft)
    assert dry is not None
    assert dry.error.pointer == pointer
    said = " ".join(map(str, (refused.value, declined.error, dry.error)))
    kept = str(_everything(engine))
    for digits in (CARD, "4111 1111", "4111-1111", "822463", "6011000990139424"):
        assert digits not in said
        assert digits not in kept


@pytest.mark.parametrize("name", ["idempotency", "entries", "accounts", "records"])
def test_a_card_number_for_an_account_that_is_not_there_is_not_kept_with_the_refusal(
    house: Runtime, engine: Engine, name: str
) -> None:
    draft = on(CARD, sale("e:1"))
    items = house.ledger().append([draft, sale("e:2")], Ask(actor=ME, key="k")).items
    assert [type(item).__name__ for item in items] == ["Declined", "Posted"]
    with engine.connect() as connection:
        rows = connection.execute(text(f"select * from ledger.{name}")).all()
    assert CARD not in str(rows)


@pytest.mark.parametrize("key", [CARD, f"pay {CARD}", f"x:{CARD}", "4111 1111 1111 1111"])
def test_an_idempotency_key_with_a_card_number_is_refused_and_not_kept(
    house: Runtime, engine: Engine, key: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        house.ledger().append([sale("e:1")], Ask(actor=ME, key=key))
    assert refused.value.pointer == "/Idempotency-Key"
    assert key not in str(refused.value)
    assert key not in str(_everything(engine))


def test_what_only_looks_like_a_card_number_is_taken(house: Runtime) -> None:
    fine = [
        sale("order-4111111111111111"),
        sale("4111111111111112"),
        sale("1234567890123452"),
        sale("e:1", description="ref ABC4111111111111111 4111.1111111111111 0.4111111111111111"),
        sale("e:2", metadata={"reference": "txn_4111111111111111", "pan": "411111******1111"}),
        sale("e:3", 4_111_111_111_111_111),
        RecordDraft(kind="security_event", body={"amount": CARD, "net_minor": CARD, "total_amount": CARD}),
    ]
    answer = house.ledger().append(fine, Ask(actor=ME, key="411111111111111"))
    assert [type(item).__name__ for item in answer.items] == ["Posted"] * len(fine)


def _everything(engine: Engine) -> list[Any]:
    """Return every row of the tables that a post writes, its bytes as text."""
    with engine.connect() as connection:
        found: list[Any] = []
        for table in ("entries", "accounts", "account_versions", "idempotency", "exports"):
            found += connection.execute(text(f"select * from ledger.{table}")).all()
        found += connection.execute(text("select convert_from(canonical, 'UTF8') from ledger.records")).all()
    return found
