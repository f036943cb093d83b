"""Names that the product makes are nobody's to choose, and a limit of an account holds from the day it is set."""

from __future__ import annotations

import pytest

from api.reversals import reverse
from ledger_core.errors import (
    AlreadyReversed,
    InsufficientFunds,
    InvalidInput,
)
from ledger_core.evidence.check.checker import Code, check_book
from ledger_core.journal.accounts import AccountChange, account_draft
from ledger_core.ports import Ask, Declined, Posted
from ledger_core.reading.entries import get_entry
from ledger_core.runtime import Runtime
from tests.integration.batches.shared import CARD, ME, sale

pytestmark = pytest.mark.integration


def test_nobody_else_may_choose_the_name_of_a_reversal(house: Runtime) -> None:
    ledger = house.ledger()
    first, second = ledger.append([sale("e:1"), sale("e:2")], Ask(actor=ME)).posted
    squats = [
        sale(f"reversal:{first.id}"),
        sale("reversal:"),
        sale("reversal:None"),
        sale(f"reversal:{first.id}:2"),
        sale(f"reversal:{first.id}", corrects=first.id),
        sale(f"reversal:{first.id}", back=True, reverses=second.id),
    ]
    for item in ledger.append(squats, Ask(actor=ME)).items:
        assert isinstance(item, Declined)
        assert (type(item.error), item.error.pointer) == (InvalidInput, "/external_id")
    undone = reverse(ledger, house.engine, first.id, actor=ME, now=house.clock()).only
    again = reverse(ledger, house.engine, first.id, actor=ME, now=house.clock()).items[0]
    assert isinstance(again, Declined)
    assert isinstance(again.error, AlreadyReversed)
    assert undone.id in again.error.message


def test_a_name_that_an_earlier_release_let_somebody_choose_blocks_no_reversal(
    house: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = house.ledger()
    first = ledger.append([sale("e:1")], Ask(actor=ME)).only
    with monkeypatch.context() as earlier:
        earlier.setattr("ledger_core.book.kinds.journal_entry.prepare.check_external_id", lambda draft: None)
        squatter = ledger.append([sale(f"reversal:{first.id}")], Ask(actor=ME)).only
    undone = reverse(ledger, house.engine, first.id, actor=ME, now=house.clock(), key="k").only
    assert undone.id != squatter.id
    assert reverse(ledger, house.engine, first.id, actor=ME, now=house.clock(), key="k").only.id == undone.id
    with house.engine.connect() as connection:
        found = get_entry(connection, "main", first.id)
    assert found is not None
    assert found.reversed_by == undone.id
    again = reverse(ledger, house.engine, first.id, actor=ME, now=house.clock()).items[0]
    assert isinstance(again, Declined)
    assert isinstance(again.error, AlreadyReversed)


def test_an_entry_with_a_card_number_of_an_earlier_release_can_be_reversed(
    house: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = house.ledger()
    with monkeypatch.context() as earlier:
        earlier.setattr("ledger_core.book.kinds.journal_entry.prepare.refuse_cards", lambda texts: None)
        old = sale(f"old:{CARD}", metadata={"note": f"paid by {CARD}", CARD: "name"})
        first = ledger.append([old], Ask(actor=ME)).only
    undone = reverse(ledger, house.engine, first.id, actor=ME, now=house.clock()).only
    assert CARD.encode() not in undone.canonical
    assert undone.entry is not None
    assert undone.entry.metadata == {"note": "paid by ************1111"}


def test_a_limit_that_an_account_is_past_already_is_refused_and_changes_nothing(house: Runtime) -> None:
    ledger = house.ledger()
    ledger.append([sale("e:1", 5, back=True)], Ask(actor=ME))
    for overdraft in ("forbidden", "4"):
        with pytest.raises(InsufficientFunds) as refused:
            ledger.append([AccountChange(code="assets:cash", overdraft=overdraft)], Ask(actor=ME), atomic=True)
        assert refused.value.pointer == "/overdraft"
        assert "stands at -0.05 USD" in refused.value.message
    # A chart says the same by the same words.
    tight = account_draft(code="assets:cash", type="asset", currency="USD", overdraft="forbidden")
    assert isinstance(ledger.append([tight], Ask(actor=ME)).items[0], Declined)
    assert isinstance(ledger.append([AccountChange(code="assets:cash", overdraft="5")], Ask(actor=ME)).items[0], Posted)
    mended = [sale("e:2", 5), AccountChange(code="assets:cash", overdraft="forbidden"), sale("e:3", 1, back=True)]
    posted, changed, drawn = ledger.append(mended, Ask(actor=ME)).items
    assert isinstance(posted, Posted)
    assert isinstance(changed, Posted)
    assert isinstance(drawn, Declined)
    assert check_book(house, "main").sound


def test_a_check_re_derives_that_no_account_was_drawn_below_its_limit(
    house: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = house.ledger()
    ledger.append([sale("e:1", 3), AccountChange(code="assets:cash", overdraft="forbidden")], Ask(actor=ME))
    with monkeypatch.context() as broken:
        broken.setattr("ledger_core.book.kinds.journal_entry.judge._check_funds", lambda item, accounts: None)
        drawn = ledger.append([sale("e:2", 2, back=True), sale("e:3", 2, back=True)], Ask(actor=ME)).posted
    # Up again, though not to nothing: that draws it nowhere.
    ledger.append([sale("e:4", 1)], Ask(actor=ME))
    report = check_book(house, "main")
    found = [finding for finding in report.findings if finding.code is Code.OVERDRAWN]
    assert [finding.seq for finding in found] == [drawn[1].seq]
    assert "drawn to -1" in found[0].detail
    assert {finding.code for finding in report.findings} == {Code.OVERDRAWN}
