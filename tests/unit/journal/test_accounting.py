"""Small rules of accounting, each with the case that shows it broken: ties, sides, years, normal balances, totals."""

from __future__ import annotations

from typing import Any

import pytest

from ledger_core.errors import InvalidInput, UnbalancedEntry
from ledger_core.journal.accounts import NORMAL_BALANCES, account_draft
from ledger_core.journal.balances import Balance, TrialBalance, signed_balance, totals_by_currency
from ledger_core.journal.entries import entry_as_json, parse_entry
from ledger_core.journal.money import allocate

SOME_ID = "01890000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [
        (1, [1, 1], [1, 0]),
        (2, [1, 1, 1], [1, 1, 0]),
        (100, [1, 1, 1], [34, 33, 33]),
        (-100, [1, 1, 1], [-34, -33, -33]),
        (10, [1, 2, 1], [3, 5, 2]),
        (5, [0, 1, 1], [0, 3, 2]),
        (7, [3, 1, 3], [3, 1, 3]),
    ],
)
def test_what_remains_goes_to_the_largest_remainder_and_of_equals_to_the_first(
    total: int, weights: list[int], shares: list[int]
) -> None:
    assert allocate(total, weights) == shares


def posting(direction: str, amount: int, currency: str = "USD") -> dict[str, Any]:
    return {"account": f"{direction}:{amount}", "direction": direction, "amount": str(amount), "currency": currency}


def entry(*postings: dict[str, Any], **members: Any) -> dict[str, Any]:
    both = [posting("debit", 5), posting("credit", 5)]
    members = {"effective_at": "2026-11-22T08:00:00Z", "external_id": "a", **members}
    return {**members, "postings": list(postings) or both}


@pytest.mark.parametrize(
    "postings",
    [
        [posting("debit", 5), posting("debit", 5)],
        [posting("credit", 5), posting("credit", 5)],
        [posting("debit", 5), posting("credit", 5, "EUR")],
        [posting("debit", 5), posting("credit", 6)],
        [posting("debit", 5), posting("debit", 5), posting("credit", 10, "EUR")],
        [posting("debit", 5), posting("credit", 5), posting("credit", 1, "EUR")],
    ],
)
def test_an_entry_that_does_not_balance_in_every_currency_is_refused(postings: list[dict[str, Any]]) -> None:
    with pytest.raises(UnbalancedEntry):
        parse_entry(entry(*postings))


@pytest.mark.parametrize("year", [1900, 1901, 2198, 2199])
def test_a_year_within_what_companies_book_is_taken(year: int) -> None:
    assert parse_entry(entry(effective_at=f"{year}-06-30T00:00:00Z")).effective_at.year == year


@pytest.mark.parametrize(
    "moment",
    ["1899-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
     "1900-01-01T00:30:00+01:00", "2199-12-31T23:30:00-01:00"],
)  # fmt: skip
def test_a_year_that_no_company_books_is_refused_as_of_utc(moment: str) -> None:
    with pytest.raises(InvalidInput, match="outside the years 1900 to 2199") as caught:
        parse_entry(entry(effective_at=moment))
    assert caught.value.pointer == "/effective_at"


@pytest.mark.parametrize("link", ["reverses", "corrects"])
def test_a_link_to_another_entry_survives_the_wire_form(link: str) -> None:
    draft = parse_entry(entry(**{link: SOME_ID}))
    wire = entry_as_json(draft)
    assert wire[link] == SOME_ID
    assert parse_entry(wire) == draft


@pytest.mark.parametrize(
    ("type", "side"),
    [("asset", "debit"), ("expense", "debit"), ("liability", "credit"), ("equity", "credit"), ("revenue", "credit")],
)
def test_an_account_stands_on_the_side_of_its_type(type: str, side: str) -> None:
    assert account_draft(code="a", type=type, currency="USD").normal_balance == side
    assert NORMAL_BALANCES[type] == side
    assert signed_balance(side, 7, 3) == (4 if side == "debit" else -4)


def balance(currency: str, debits: int, credits: int) -> Balance:
    return Balance(
        account=f"{currency}:{debits}:{credits}",
        currency=currency,
        normal_balance="debit",
        debits=debits,
        credits=credits,
        as_of_seq=9,
        signed_size=9,
    )


@pytest.mark.parametrize(
    ("lines", "balanced"),
    [
        ([], True),
        ([balance("USD", 5, 0), balance("USD", 0, 5)], True),
        ([balance("USD", 5, 0), balance("USD", 0, 4)], False),
        ([balance("USD", 5, 0), balance("EUR", 0, 5)], False),
        ([balance("USD", 5, 5), balance("EUR", 0, 1)], False),
        ([balance("EUR", 0, 1), balance("USD", 5, 5)], False),
    ],
)
def test_a_trial_balance_is_balanced_in_every_currency_or_not_at_all(lines: list[Balance], balanced: bool) -> None:
    found = TrialBalance(
        book="main",
        as_of_seq=9,
        signed_size=9,
        effective_at=None,
        lines=tuple(lines),
        totals=totals_by_currency(lines),
    )
    assert found.balanced is balanced
