"""The sums by which a file proves itself whole: pure arithmetic over minor units.

A total that fails makes a run `incomplete`, never a break. Sums across files of a payment provider (the items of one
report against the payout of another) are no totals: they are the break `batch_sum_mismatch`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from ingest.rows import ControlTotal
from ledger_core.journal.money import decimal_from_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementHead:
    """One page of an account's statement as far as continuity needs it; balances in signed minor units."""

    account: str
    currency: str
    sequence: int | None
    page: int = 1
    is_last_page: bool = True
    opening_on: date | None = None
    closing_on: date | None = None
    opening_minor: int | None = None
    closing_minor: int | None = None


def balance_total(
    *, subject: str, currency: str, opening_minor: int | None, movements_minor: int, closing_minor: int | None
) -> ControlTotal:
    """Return the total `balance`: opening + sum of the booked entries = closing."""
    actual = None if opening_minor is None else opening_minor + movements_minor
    return ControlTotal(
        name="balance",
        subject=subject,
        expected=None if closing_minor is None else decimal_from_minor(closing_minor, currency),
        actual=None if actual is None else decimal_from_minor(actual, currency),
        passed=actual is not None and actual == closing_minor,
    )


def failure(total: ControlTotal) -> str:
    """Say in a sentence how `total` fails; a statement without one of its balances lacks it by name."""
    missing = [
        name
        for name, value in (("opening balance (OPBD)", total.actual), ("closing balance (CLBD)", total.expected))
        if value is None
    ]
    if total.name == "balance" and missing:
        return (
            f"statement {total.subject} states no {' and no '.join(missing)}, so that its entries prove nothing. "
            "Ask the bank for the statement with its balances."
        )
    return (
        f"control total {total.name} of {total.subject or 'the file'}: "
        f"expected {total.expected}, found {total.actual}. "
        "Look for rows that were put aside, else fetch the file again."
    )


def details_agree(*, entry_minor: int, details_minor: Sequence[int], charges_minor: int) -> bool:
    """Tell whether an entry is the sum of its details, charges taken off or not; all signed, charges negative.

    Banks do either: some details are gross and the charge explains the difference, some are net already.
    """
    total = sum(details_minor)
    return entry_minor in (total, total + charges_minor)


def counted_total(*, name: str, subject: str, expected: int, actual: int) -> ControlTotal:
    """Return the total of two counts."""
    return ControlTotal(
        name=name, subject=subject, expected=str(expected), actual=str(actual), passed=expected == actual
    )


def summed_total(*, name: str, subject: str, currency: str, expected_minor: int, actual_minor: int) -> ControlTotal:
    """Return the total of two sums."""
    return ControlTotal(
        name=name,
        subject=subject,
        expected=decimal_from_minor(expected_minor, currency),
        actual=decimal_from_minor(actual_minor, currency),
        passed=expected_minor == actual_minor,
    )


def continuity_totals(statements: Iterable[StatementHead]) -> list[ControlTotal]:
    """Return what is missing between an account's statements: sequence numbers, balances, pages.

    Judged over statements of several files, in whatever order they landed. No statement on a weekend is no gap: only
    numbers and balances count. A sequence may start again at 1 with a new year.
    """
    totals: list[ControlTotal] = []
    accounts: dict[tuple[str, str], list[StatementHead]] = {}
    for statement in statements:
        accounts.setdefault((statement.account, statement.currency), []).append(statement)
    for (account, currency), heads in sorted(accounts.items()):
        heads.sort(key=lambda head: (head.closing_on or date.min, head.sequence or 0, head.page))
        subject = f"{account} {currency}"
        for before, after in pairwise(heads):
            totals += _between(before, after, subject=subject)
        if heads and not heads[-1].is_last_page:
            totals.append(
                _failed("statement_pages", f"{subject} {heads[-1].sequence}", "the last page", "more to come")
            )
    return totals


def _between(before: StatementHead, after: StatementHead, *, subject: str) -> list[ControlTotal]:
    totals = []
    place = f"{subject} {after.sequence if after.sequence is not None else after.closing_on} page {after.page}"
    if not before.is_last_page:
        expected = f"{before.sequence} page {before.page + 1}"
        found = f"{after.sequence} page {after.page}"
        if expected != found:
            totals.append(_failed("statement_pages", place, expected, found))
    elif before.sequence is not None and after.sequence is not None:
        new_year = before.closing_on and after.closing_on and before.closing_on.year < after.closing_on.year
        if after.sequence != before.sequence + 1 and not (new_year and after.sequence == 1):
            totals.append(_failed("statement_sequence", place, str(before.sequence + 1), str(after.sequence)))
    if None not in (before.closing_minor, after.opening_minor) and before.closing_minor != after.opening_minor:
        currency = after.currency
        totals.append(
            _failed(
                "statement_balance",
                place,
                decimal_from_minor(before.closing_minor or 0, currency),
                decimal_from_minor(after.opening_minor or 0, currency),
            )
        )
    return totals


def _failed(name: str, subject: str, expected: str, actual: str) -> ControlTotal:
    return ControlTotal(name=name, subject=subject, expected=expected, actual=actual, passed=False)
