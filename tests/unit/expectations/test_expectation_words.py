"""Outcomes read as a finance person reads: rows of rows, figures beside what was expected, no figure for nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from expectations.model import Expectation, Outcome, Unit, between, never_null, one_of, rows_refused
from expectations.words import observed_words, state_of


def outcome(expectation: Expectation, *, passed: bool = True, unexpected: int = 0, **members: Any) -> Outcome:
    given = {"rows": 1234, "checked": 1234, **members}
    return Outcome(suite="s", expectation=expectation, passed=passed, unexpected_count=unexpected, **given)


REFUSED = rows_refused("net_is_right", "items", "net <> 0", severity="error", description="D.")
FILLED = never_null("id", "items", severity="error", description="D.")
MOSTLY = never_null("id", "items", mostly=0.5, severity="warn", description="D.")
KNOWN = one_of("category", "items", ["a"], severity="warn", description="D.")


def ranged(low: float | None, high: float | None, unit: Unit = "number") -> Expectation:
    return between("x", "figure", "rates", low, high, severity="warn", description="D.", unit=unit)


def test_rows_are_counted_of_rows() -> None:
    assert observed_words(outcome(REFUSED)) == "0 of 1,234 rows fail"
    assert observed_words(outcome(REFUSED, passed=False, unexpected=12)) == "12 of 1,234 rows fail"
    assert observed_words(outcome(FILLED)) == "0 of 1,234 rows lack it"
    assert observed_words(outcome(KNOWN, checked=1200)) == "0 of 1,200 rows fail; 34 have no value"


def test_a_share_that_may_be_lacking_stands_beside_the_one_that_is() -> None:
    assert observed_words(outcome(MOSTLY, unexpected=36)) == "36 of 1,234 rows lack it: 2.92 % (expected at most 50 %)"


@pytest.mark.parametrize(
    ("expectation", "low", "high", "words"),
    [
        (ranged(0.4, 2.5, "times"), "0.98", "1.0249", "0.98 to 1.02 times the usual (expected 0.4 to 2.5)"),
        (ranged(0.4, 2.5, "times"), "1.0", "1.0", "1 times the usual (expected 0.4 to 2.5)"),
        (ranged(0, 0.01, "points"), "0.0002", "0.005", "0.02 to 0.5 percentage points off (expected at most 1)"),
        (ranged(0, 0.01, "points"), "0.000001", "0.000001", "under 0.01 percentage points off (expected at most 1)"),
        (ranged(0, 10_000), "7", "7", "7 (expected at most 10,000)"),
        (ranged(5, None), "7", "7", "7 (expected at least 5)"),
    ],
)
def test_a_range_says_what_was_found_and_what_was_expected(
    expectation: Expectation, low: str, high: str, words: str
) -> None:
    assert observed_words(outcome(expectation, low=Decimal(low), high=Decimal(high))) == words


def test_a_range_tells_how_many_lie_outside_and_how_many_were_not_compared() -> None:
    found = outcome(
        ranged(0.4, 2.5, "times"), passed=False, unexpected=2, rows=31, checked=28, low=Decimal("0.1"), high=Decimal(1)
    )
    assert observed_words(found) == (
        "0.1 to 1 times the usual (expected 0.4 to 2.5); 2 of 28 rows outside; 3 rows could not be compared"
    )


def test_nothing_out_of_nothing_never_holds() -> None:
    for expectation in (REFUSED, FILLED, MOSTLY, KNOWN, ranged(0, 1)):
        nothing = outcome(expectation, rows=0, checked=0)
        assert (state_of(nothing), observed_words(nothing)) == ("nothing", "no rows")
    new = outcome(ranged(0, 1, "times"), rows=1, checked=0)
    assert (state_of(new), observed_words(new)) == ("nothing", "none of 1 row can be compared with the weeks before")
    empty = outcome(KNOWN, rows=5, checked=0)
    assert (state_of(empty), observed_words(empty)) == ("nothing", "none of 5 rows has a value")


def test_what_cannot_be_evaluated_is_broken_whatever_its_severity() -> None:
    failed = outcome(MOSTLY, passed=False, error="no such column", rows=None, checked=None)
    assert state_of(failed) == "error"
    assert observed_words(failed) == "could not be checked: no such column"
    assert state_of(outcome(MOSTLY, passed=False, unexpected=900)) == "warn"
    assert state_of(outcome(MOSTLY)) == "passed"
