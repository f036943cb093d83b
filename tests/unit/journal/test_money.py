"""Money: exact, in minor units, and never a float."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_core.errors import InvalidAmount
from ledger_core.journal.money import (
    MAX_AMOUNT_MINOR,
    Money,
    allocate,
    decimal_from_minor,
    exponent,
    minor_from_decimal,
    parse_amount,
)


@pytest.mark.parametrize(("currency", "digits"), [("USD", 2), ("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4)])
def test_a_currency_has_the_exponent_of_iso_4217(currency: str, digits: int) -> None:
    assert exponent(currency) == digits


@pytest.mark.parametrize("code", ["usd", "US", "XAU", "XXX", "ABC", "", "US$"])
def test_a_code_that_iso_4217_lacks_is_refused(code: str) -> None:
    with pytest.raises(InvalidAmount):
        Money(amount_minor=1, currency=code)


@pytest.mark.parametrize("text", ["1", "12345", str(MAX_AMOUNT_MINOR)])
def test_an_amount_is_a_string_of_digits(text: str) -> None:
    assert parse_amount(text, pointer="/amount") == int(text)


@pytest.mark.parametrize(
    "value",
    [
        "0",
        "01",
        "+1",
        "-1",
        "-0",
        "1.0",
        "1e3",
        "",
        " 1",
        "1 ",
        "1_000",
        "٣",
        "１",
        str(MAX_AMOUNT_MINOR + 1),
        "9" * 5000,
        1,
        1.0,
        True,
        None,
        [],
        {},
    ],
)
def test_any_other_amount_is_refused_and_its_pointer_named(value: object) -> None:
    with pytest.raises(InvalidAmount) as caught:
        parse_amount(value, pointer="/postings/3/amount")
    assert caught.value.pointer == "/postings/3/amount"


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.34", "USD", 1234),
        ("-0.05", "EUR", -5),
        ("1000", "JPY", 1000),
        ("1000.00", "JPY", 1000),
        ("1.234", "KWD", 1234),
        ("7", "USD", 700),
        ("7.5", "USD", 750),
        ("+1.10", "USD", 110),
        ("0", "USD", 0),
        ("90071992547409.93", "USD", 9007199254740993),
    ],
)
def test_decimal_text_becomes_minor_units_exactly(text: str, currency: str, minor: int) -> None:
    assert minor_from_decimal(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("1.005", "USD"),
        ("0.5", "JPY"),
        ("1,00", "USD"),
        ("1e2", "USD"),
        ("NaN", "USD"),
        ("", "USD"),
        ("-", "USD"),
        (".5", "USD"),
    ],
)
def test_a_digit_below_the_minor_unit_is_refused_not_rounded(text: str, currency: str) -> None:
    with pytest.raises(InvalidAmount):
        minor_from_decimal(text, currency)


@given(st.integers(min_value=-(10**20), max_value=10**20), st.sampled_from(["USD", "JPY", "KWD", "CLF"]))
def test_decimal_text_and_minor_units_convert_both_ways(minor: int, currency: str) -> None:
    assert minor_from_decimal(decimal_from_minor(minor, currency), currency) == minor


@given(
    st.integers(min_value=-(10**18), max_value=10**18),
    st.lists(st.integers(min_value=0, max_value=10**9), min_size=1, max_size=30).filter(any),
)
def test_an_allocation_loses_no_unit_and_is_fair_to_one(total: int, weights: list[int]) -> None:
    shares = allocate(total, weights)
    assert sum(shares) == total
    whole = sum(weights)
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share * whole - total * weight) < whole
        assert share == 0 or (share > 0) == (total > 0)


def test_an_allocation_needs_weights() -> None:
    with pytest.raises(InvalidAmount):
        allocate(100, [0, 0])
    with pytest.raises(InvalidAmount):
        allocate(100, [3, -1])
