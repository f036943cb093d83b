"""How the page writes numbers."""

from __future__ import annotations

from datetime import date

import pytest

from ledger_core.journal.money import Money
from reconciliation.report.amounts import format_amount, format_day, format_rate, format_rate_change
from reconciliation.report.model import Rate, bucket_of


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (123456, "USD", "1,234.56"),
        (-5, "USD", "−0.05"),
        (123456, "JPY", "123,456"),
        (123456, "KWD", "123.456"),
        (0, "EUR", "0.00"),
        (9_223_372_036_854_775_807, "USD", "92,233,720,368,547,758.07"),
        (-(10**38 - 1), "EUR", "−999,999,999,999,999,999,999,999,999,999,999,999.99"),
    ],
)
def test_amounts_are_exact_in_the_currencys_own_digits(minor: int, currency: str, text: str) -> None:
    assert format_amount(Money(amount_minor=minor, currency=currency)) == text


def test_a_difference_carries_its_sign_and_zero_has_none() -> None:
    assert format_amount(Money(amount_minor=5, currency="USD"), signed=True) == "+0.05"
    assert format_amount(Money(amount_minor=0, currency="USD"), signed=True) == "0.00"


def test_one_break_in_a_million_is_not_a_hundred_percent() -> None:
    rate = Rate(provider="stripe", leg="A", currency="USD", matched=999_999, breaks=1)
    assert format_rate(rate.basis_points) == "99.99 %"
    assert format_rate(None) == "—"


def test_a_change_of_rate_is_in_percentage_points() -> None:
    assert [format_rate_change(each) for each in (15, -715, 0)] == ["+0.15 pp", "−7.15 pp", "±0.00 pp"]


def test_days_read_the_same_in_every_locale() -> None:
    assert format_day(date(2026, 4, 3)) == "3 Apr 2026"


def test_ages_fall_into_one_bucket_each() -> None:
    assert [bucket_of(age) for age in (0, 1, 2, 5, 6, 10, 11, 30, 31, 4000)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
