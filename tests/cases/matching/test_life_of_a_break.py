"""What a break is known by over several runs, how old it is, and which runs may touch it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

pytestmark = pytest.mark.integration

FIRST = date(2026, 3, 2)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def reported(case: Any) -> Any:
    """A company whose provider reports: before its first report a credit in its name waits for that."""
    case.item("knownx", 5000, fee=0, day=0, payout="known1")
    case.line(5000, f"STRIPE {case.payout('known1', 5000, day=0, arrives=1)}", day=1)
    return case


def test_a_reference_that_comes_again_opens_a_new_break(
    open_book: Callable[..., Any], make_case: Callable[..., Any]
) -> None:
    case, later = reported(make_case(number=1)), make_case(number=1)
    name = "STRIPE-QX7-MARCH"
    case.line(4900, "STRIPE", end_to_end=name, day=7)
    # What the bank gave in May: the statements of March again, and one more line under the reference of March.
    later.lines = list(case.lines)
    later.line(7700, "STRIPE", end_to_end=name, day=70)
    late = make_case(number=1)
    late.item("late1", 4900, payout="late1", booked=False, payout_reference_token=name)
    late.payout("late1", 4900, arrives=7, booked=False)
    with open_book([case]) as book:
        book.load()
        assert [found.opened_on for found in _credits(book, day(21))] == [day(15)]
        _, provider_files, _ = _write(book, "late", late)
        book.land("stripe_report", provider_files, account=late.account)
        assert _credits(book, day(24)) == []
        _, _, bank_files = _write(book, "may", later)
        book.land("camt053", bank_files)
        (again,) = _credits(book, day(88))
        assert (again.amount_minor, again.opened_on) == (-7700, day(78))
        (closed,) = [found for found in book.breaks(status="closed") if found.leg == "B"]
        assert (closed.amount_minor, closed.opened_on, closed.closed_on) == (-4900, day(15), day(24))


def test_an_older_day_leaves_breaks_alone_and_ages_count_to_the_last_merged_day(
    open_book: Callable[..., Any], make_case: Callable[..., Any]
) -> None:
    case = reported(make_case(number=1))
    case.line(1200, "STRIPE", end_to_end="STRIPE_c0001", day=0)
    case.line(1700, "STRIPE", end_to_end="OTHER_c0001", day=9)
    with open_book([case]) as book:
        book.load()
        runs = [book.reconcile(day(number)) for number in (14, 21, 16)]
        assert [run.merged for run in runs] == [True, True, False]
        by_amount = {found.amount_minor: found for found in book.breaks(case)}
        assert {amount: found.opened_on for amount, found in by_amount.items()} == {-1200: day(8), -1700: day(17)}
        assert {amount: found.age_days for amount, found in by_amount.items()} == {-1200: 13, -1700: 4}
        # A day between the two that were merged is older than the last of them, not than the first.
        assert not book.reconcile(day(15)).merged
        assert book.reconcile(day(21)).run_id == runs[1].run_id


def test_a_credit_given_again_in_a_new_file_is_the_same_break(
    open_book: Callable[..., Any], make_case: Callable[..., Any]
) -> None:
    case, again = reported(make_case(number=1)), reported(make_case(number=1))
    for each in (case, again):
        for place in range(2):
            each.line(1200, "STRIPE", end_to_end="STRIPE_c0001", day=place)
    again.line(300, "STRIPE", end_to_end="MORE_c0001", day=2)
    with open_book([case]) as book:
        book.load()
        first = {found.break_id for found in _credits(book, day(14))}
        assert len(first) == 2
        _, _, bank_files = _write(book, "again", again)
        book.land("camt053", bank_files)
        second = _credits(book, day(15))
        assert len(second) == 3
        assert first < {found.break_id for found in second}


def _credits(book: Any, to: date) -> list[Any]:
    book.reconcile(to)
    return [found for found in book.breaks() if found.leg == "B"]


def _write(book: Any, name: str, case: Any) -> tuple[Any, Any, Any]:
    folder = book.folder / name
    folder.mkdir()
    return (folder, *case.write(folder))
