"""What one caller sends spoils nothing of another's: what is too large, what cannot be written, what nobody has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import text

from ledger_core.errors import (
    InvalidInput,
)
from ledger_core.evidence.check.checker import check_book
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import AccountChange, AccountOpening, account_draft
from ledger_core.kinds import MAX_BODY_BYTES
from ledger_core.ports import Ask, Declined, Draft, RecordDraft
from ledger_core.reading import balances
from ledger_core.runtime import Runtime
from tests.integration.batches.moody import LONG, spoiled
from tests.integration.batches.shared import ME, on, sale

pytestmark = pytest.mark.integration


LARGE = {f"m{number}": "x" * 8_000 for number in range(9)}
"""72,000 bytes: more than any record holds."""


@pytest.mark.parametrize("atomic", [False, True], ids=["each by itself", "a group"])
@pytest.mark.parametrize(
    "spoiler",
    [
        [account_draft(code="a:large", type="asset", currency="USD", metadata=LARGE)],
        [AccountOpening(account=account_draft(code="a:large", type="asset", currency="USD", metadata=LARGE))],
        [AccountChange(code="assets:cash", metadata=LARGE)],
        [sale("large", metadata=LARGE)],
        [sale("large", description="x" * 66_000)],
        [RecordDraft(kind="moody", body={"word": "x" * 66_000})],
        [RecordDraft(kind="security_event", body={"word": "x" * 66_000})],
        [sale("in a group"), sale("large", metadata=LARGE)],
    ],
    ids=["account", "opening", "change", "entry", "description", "room's record", "record", "second of two"],
)
def test_what_no_record_could_hold_is_refused_and_spoils_nothing(
    house: Runtime, spoiler: Sequence[Draft], atomic: bool
) -> None:
    future = spoiled(house, spoiler, atomic=atomic)
    if future is not None:
        if atomic:
            with pytest.raises(InvalidInput, match="the record has"):
                future.result(30)
        else:
            last = future.result(30).items[-1]
            assert isinstance(last, Declined)
            assert isinstance(last.error, InvalidInput)
    assert check_book(house, "main").sound


def test_a_change_that_makes_an_account_too_large_is_refused_alone_and_leaves_it_as_it_was(house: Runtime) -> None:
    """What else stands in the account is known only under the lock."""
    ledger = house.ledger()
    code = "a:" + "long" * 49
    apply_accounts(ledger, [account_draft(code=code, type="liability", currency="USD")], Ask(actor=ME))
    room = MAX_BODY_BYTES - 140
    metadata = {f"m{number}": "x" * 7_000 for number in range(9)}
    metadata["n"] = "x" * (room - len(str(metadata).replace(" ", "")) - len(code) - len(ME.subject))
    answer = ledger.append(
        [
            sale("e:1"),
            AccountChange(code=code, metadata=metadata),
            sale("e:2"),
            AccountChange(code=code, status="frozen"),
        ],
        Ask(actor=ME),
    )
    assert [type(item).__name__ for item in answer.items] == ["Posted", "Declined", "Posted", "Posted"]
    refused = answer.items[1]
    assert isinstance(refused, Declined)
    assert "the record has" in refused.error.message
    with house.engine.connect() as connection:
        stored = connection.execute(text("select status, metadata from ledger.accounts where code = :c"), {"c": code})
        assert stored.one() == ("frozen", {})
    assert check_book(house, "main").sound


def test_the_largest_body_that_is_taken_fits_its_record_whatever_its_kind_is_called(house: Runtime) -> None:
    house.ledger("b" * 63)
    ledger = house.ledger("b" * 63)
    around = len('{"actor":{"role":"","subject":"tester"},"word":""}')
    word = "x" * (MAX_BODY_BYTES - around - len(ME.role))
    assert len(ledger.append([RecordDraft(kind=LONG.name, body={"word": word})], Ask(actor=ME)).posted) == 1
    with pytest.raises(InvalidInput, match="the record has"):
        ledger.append([RecordDraft(kind=LONG.name, body={"word": word + "xxxxxxxx"})], Ask(actor=ME), atomic=True)


@pytest.mark.parametrize(
    "word", ["NotAllowed", "NotFound", "Conflict", "InvalidInput", "too large a number", "no such table"]
)
def test_whatever_a_rooms_rows_are_refused_with_only_their_request_falls(house: Runtime, word: str) -> None:
    future = spoiled(house, [RecordDraft(kind="moody", body={"word": word})], atomic=True)
    with pytest.raises(Exception, match=r"not so|passed every check"):
        future.result(30)
    assert check_book(house, "main").sound


def test_codes_that_nobody_has_are_not_kept_without_end(house: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger_core.book.posting.accounts.MAX_MISSING_CODES", 100)
    ledger = house.ledger()
    state = ledger._sequencer._writer.planner._state  # type: ignore[attr-defined]
    for batch in range(6):
        unknown = []
        for number in range(50):
            draft = sale(f"e:{batch}:{number}")
            unknown.append(
                replace(draft, postings=(replace(draft.postings[0], account=f"x:{batch}:{number}"), draft.postings[1]))
            )
        assert not ledger.append(unknown, Ask(actor=ME)).posted
        assert len(state.missing) <= 150
    assert len(ledger.append([sale("known")], Ask(actor=ME)).posted) == 1


def test_an_account_made_after_its_code_was_missed_is_found(house: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger_core.book.posting.accounts.MAX_MISSING_CODES", 0)
    ledger = house.ledger()
    draft = on("assets:new", sale("e:1"))
    made = account_draft(code="assets:new", type="asset", currency="USD")
    answer = ledger.append([draft, made, draft], Ask(actor=ME))
    assert [type(item).__name__ for item in answer.items] == ["Declined", "Posted", "Posted"]
    with house.engine.connect() as connection:
        assert balances.balance(connection, "main", "assets:new").debits == 5
