"""The sums by which a file proves itself whole: pure arithmetic over minor units.

A total that fails makes a run `incomplete`, never a break. Sums across files of a payment provider (the items of one
report against the payout of another) are no totals: they are the break `batch_sum_mismatch`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingest.contract.rows import ControlTotal
from ledger_core.journal.money import decimal_from_minor


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


def details_agree(*, entry_minor: int, details_minor: Sequence[int], charges_minor: Sequence[int]) -> bool:
    """Tell whether an entry is the sum of its details, charges taken off or not; all signed, charges negative.

    `charges_minor` are those of the entry and those of its details. Banks do either: some details are gross and a
    charge explains the difference, some are net already; and a charge may be named in one place, the other, or both.
    """
    total, charged = sum(details_minor), [*charges_minor, sum(charges_minor)]
    return entry_minor in (total, *(total + each for each in charged))


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
