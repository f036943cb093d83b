"""Journal entries: the rules that need no database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ledger_core.errors import CounterfoilError, InvalidAmount, InvalidInput, UnbalancedEntry
from ledger_core.journal.entries import (
    EntryDraft,
    RecordedEntry,
    entry_as_json,
    parse_entry,
    reversal_of,
)

SOME_ID = "01890000-0000-7000-8000-000000000000"


def entry(**changes: Any) -> dict[str, Any]:
    made = {
        "effective_at": "2026-11-22T08:00:00Z",
        "external_id": "stripe:txn_1",
        "description": "charge ch_1",
        "postings": [
            {"account": "assets:psp", "direction": "debit", "amount": "9680", "currency": "USD"},
            {"account": "expenses:fees", "direction": "debit", "amount": "320", "currency": "USD"},
            {"account": "revenue:sales", "direction": "credit", "amount": "10000", "currency": "USD"},
        ],
        "metadata": {"reference": "txn_1"},
    }
    made.update(changes)
    return {key: value for key, value in made.items() if value is not None}


def posting(**changes: Any) -> dict[str, Any]:
    made = {"account": "a", "direction": "debit", "amount": "1", "currency": "USD", **changes}
    return {key: value for key, value in made.items() if value is not ...}


def with_posting(**changes: Any) -> dict[str, Any]:
    return entry(postings=[posting(direction="credit"), posting(**changes)])


def test_an_entry_survives_its_wire_form() -> None:
    draft = parse_entry(entry())
    assert draft.effective_at == datetime(2026, 11, 22, 8, tzinfo=UTC)
    assert parse_entry(entry_as_json(draft)) == draft
    assert entry_as_json(draft)["effective_at"] == "2026-11-22T08:00:00.000000Z"


def test_effective_at_is_normalised_to_utc() -> None:
    draft = parse_entry(entry(effective_at="2026-11-22T01:30:00.5+02:00"))
    assert entry_as_json(draft)["effective_at"] == "2026-11-21T23:30:00.500000Z"


@pytest.mark.parametrize(
    ("obj", "pointer"),
    [
        (entry(effective_at="2026-11-22T08:00:00"), "/effective_at"),
        (entry(effective_at="2026-11-22"), "/effective_at"),
        (entry(effective_at="2026-02-30T08:00:00Z"), "/effective_at"),
        (entry(effective_at="2026-11-22T08:00:00.1234567Z"), "/effective_at"),
        (entry(effective_at="0001-01-01T00:00:00+14:00"), "/effective_at"),
        (entry(effective_at=1700000000), "/effective_at"),
        (entry(external_id=""), "/external_id"),
        (entry(external_id="x" * 256), "/external_id"),
        (entry(external_id=5), "/external_id"),
        (entry(description="a\0b"), "/description"),
        (entry(description="\ud800"), "/description"),
        (entry(description="e\u0301"), "/description"),
        (entry(metadata={"Ref": "x"}), "/metadata/Ref"),
        (entry(metadata={"a/b": "x"}), "/metadata/a~1b"),
        (entry(metadata={"ref": 5}), "/metadata/ref"),
        (entry(metadata=[]), "/metadata"),
        (entry(metadata={f"k{n}": "" for n in range(65)}), "/metadata"),
        (entry(reverses="nope"), "/reverses"),
        (entry(reverses=SOME_ID, corrects=SOME_ID), "/corrects"),
        (entry(amount="1"), "/amount"),
        (entry(postings={}), "/postings"),
        (entry(postings=[posting()]), "/postings"),
        (entry(postings=[posting()] * 501), "/postings"),
        (with_posting(amount=...), "/postings/1/amount"),
        (with_posting(amount="0"), "/postings/1/amount"),
        (with_posting(amount=1.0), "/postings/1/amount"),
        (with_posting(direction="Debit"), "/postings/1/direction"),
        (with_posting(direction=["debit"]), "/postings/1/direction"),
        (with_posting(currency="usd"), "/postings/1/currency"),
        (with_posting(currency=["USD"]), "/postings/1/currency"),
        (with_posting(account=""), "/postings/1/account"),
        (with_posting(memo="x"), "/postings/1/memo"),
        (entry(postings=["x", posting()]), "/postings/0"),
        (entry(postings=None), "/postings"),
        ([], ""),
    ],
)
def test_a_malformed_entry_is_refused_with_the_pointer_of_the_culprit(obj: Any, pointer: str) -> None:
    with pytest.raises(CounterfoilError) as caught:
        parse_entry(obj)
    assert isinstance(caught.value, InvalidInput)
    assert caught.value.pointer == pointer
    assert caught.value.remedy


@pytest.mark.parametrize(
    "obj",
    [
        entry(effective_at="x" * 41),
        entry(reverses="x" * 41),
        entry(metadata={"X" * 41: ""}),
        entry(**{"x" * 41: ""}),
        with_posting(amount="9" * 41),
        with_posting(direction="x" * 41),
        with_posting(currency="x" * 41),
    ],
)
def test_a_value_cut_in_a_message_ends_with_an_ellipsis(obj: Any) -> None:
    with pytest.raises(InvalidInput, match=r"'(.)\1{39}\.\.\.'"):
        parse_entry(obj)


def test_pointers_start_where_the_caller_says() -> None:
    with pytest.raises(InvalidAmount) as caught:
        parse_entry(with_posting(amount="x"), pointer="/entries/4")
    assert caught.value.pointer == "/entries/4/postings/1/amount"


def test_debits_equal_credits_in_every_currency() -> None:
    mixed = [posting(), posting(direction="credit", currency="EUR")]
    with pytest.raises(UnbalancedEntry):
        parse_entry(entry(postings=mixed))
    both = [*mixed, posting(direction="credit"), posting(currency="EUR")]
    assert len(parse_entry(entry(postings=both)).postings) == 4


def test_an_entry_for_another_book_is_refused() -> None:
    assert parse_entry(entry(book="main"), book="main").external_id == "stripe:txn_1"
    with pytest.raises(InvalidInput) as caught:
        parse_entry(entry(book="other"), book="main")
    assert caught.value.pointer == "/book"


def test_a_reversal_swaps_sides_and_names_what_it_reverses() -> None:
    draft = parse_entry(entry())
    recorded = RecordedEntry(
        id="01890000-0000-7000-8000-000000000000",
        seq=4,
        recorded_at=draft.effective_at,
        leaf_hash=bytes(32),
        posted=True,
        draft=draft,
    )
    undone: EntryDraft = reversal_of(recorded, effective_at=datetime(2026, 12, 1, tzinfo=UTC))
    assert undone.reverses == recorded.id
    assert [(p.account, p.direction, p.amount_minor) for p in undone.postings] == [
        ("assets:psp", "credit", 9680),
        ("expenses:fees", "credit", 320),
        ("revenue:sales", "debit", 10000),
    ]
    assert parse_entry(entry_as_json(undone)) == undone
