"""How the page writes amounts, rates, counts and days: exact to the unit, one way everywhere.

Only integers and text: no float comes near a number that a reader may add up.
"""

from __future__ import annotations

from datetime import date

from ledger_core.journal.money import Money, decimal_from_minor

MINUS = "−"


def format_amount(money: Money | None, *, signed: bool = False) -> str:
    """Return `1,234.50`, with the currency's own number of digits and a true minus sign; an em dash for none."""
    if money is None:
        return "—"
    whole, dot, fraction = decimal_from_minor(abs(money.amount_minor), money.currency).partition(".")
    sign = MINUS if money.amount_minor < 0 else "+" if signed and money.amount_minor > 0 else ""
    return f"{sign}{int(whole):,}{dot}{fraction}"


def format_count(count: int) -> str:
    """Return a count with thousands separated."""
    return f"{count:,}" if count >= 0 else f"{MINUS}{-count:,}"


def format_rate(basis_points: int | None) -> str:
    """Return `99.42 %`; the caller has rounded down, so that 100.00 % means all."""
    if basis_points is None:
        return "—"
    return f"{basis_points // 100}.{basis_points % 100:02d} %"


def format_rate_change(basis_points: int) -> str:
    """Return the difference of two rates in percentage points."""
    sign = "+" if basis_points > 0 else MINUS if basis_points < 0 else "±"
    return f"{sign}{abs(basis_points) // 100}.{abs(basis_points) % 100:02d} pp"


def format_day(day: date | None) -> str:
    """Return `3 Apr 2026`, the same in every locale."""
    if day is None:
        return "—"
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
