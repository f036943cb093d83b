"""The line of an entry, field `:61:`: two days, a side, an amount, what kind it is, and two references.

Source: SWIFT User Handbook, MT940, field 61: `6!n[4!n]2a[1!a]15d1!a3!c16x[//16x]`, and a second line `[34x]`. Banks
leave out the comma of a whole amount, the day of entry and the type, and write references longer than sixteen
characters.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from ingest.contract.rows import Fault
from ingest.formats.days import day_of, is_day

MARKS = {"C": "C", "D": "D", "RC": "D", "RD": "C", "EC": "C", "ED": "D"}
"""The side on which the money moved: the reversal of a credit is a debit."""
REVERSALS = frozenset({"RC", "RD"})
EXPECTED = frozenset({"EC", "ED"})
"""What is announced and has not happened."""

_LINE = re.compile(
    r"(\d{6})(\d{4})?(R[CD]|E[CD]|[CD])([A-Z])?(\d{1,15}(?:,\d{0,9})?)(?:([NFS][A-Z0-9 ]{3})|(?=$|/))(.*)", re.ASCII
)


class StatementLine(NamedTuple):
    """What a `:61:` says; what it does not is empty."""

    value_on: str
    booked_on: str
    mark: str
    funds_code: str
    amount: str
    type: str
    customer_reference: str
    bank_reference: str
    supplementary: str


def read_line(text: str) -> StatementLine | Fault:
    """Return what a `:61:` says, or what makes it unreadable."""
    first, _, rest = text.partition("\n")
    found = _LINE.fullmatch(first)
    if found is None and rest:
        # A line that was broken in its middle.
        found, rest = _LINE.fullmatch(text.replace("\n", "")), ""
    if found is None:
        return Fault(code="bad_line", reason=f":61: {first[:60]!r} is not days, side, amount, type and references.")
    valued, entered, mark, funds, amount, kind, references = found.groups("")
    days = _days(valued, entered)
    if isinstance(days, Fault):
        return days
    value_on, booked_on = days
    customer, _, bank = references.partition("//")
    return StatementLine(
        *(value_on, booked_on, mark, funds, amount, kind, customer.strip(), bank.strip()),
        " ".join(rest.split()) if rest else "",
    )


@lru_cache(maxsize=16_384)
def _days(valued: str, entered: str) -> tuple[str, str] | Fault:
    """Return day of value and day of entry, which may be missing, or what is wrong with them."""
    value_on = day_of(valued, interest=True)
    if value_on is None:
        return Fault(code="bad_date", reason=f":61: {valued!r} is not a date (YYMMDD).")
    booked_on = _entered(entered, value_on) if entered else ""
    if booked_on is None:
        return Fault(code="bad_date", reason=f":61: {entered!r} is not a day of entry (MMDD).")
    return value_on, booked_on


def _entered(text: str, value_on: str) -> str | None:
    """Return the day MMDD in the year in which it is nearest to the day of value: entries are made around it."""
    valued = date.fromisoformat(value_on)
    month, day = int(text[:2]), int(text[2:])
    years = [year for year in (valued.year, valued.year - 1, valued.year + 1) if is_day(year, month, day)]
    days = [date(year, month, day) for year in years]
    return min(days, key=lambda each: abs((each - valued).days)).isoformat() if days else None
