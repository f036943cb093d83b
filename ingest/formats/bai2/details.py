"""What stands in the records of BAI2: funds types, summaries of an account, details, days and times.

Source: BAI, Cash Management Balance Reporting Specifications, Version 2, sections on the records 03 and 16, and its
type codes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from ingest.contract.rows import Fault
from ingest.formats.bai2.records import Record, without_end
from ingest.formats.days import day_of

AMOUNT = re.compile(r"[+-]?\d{1,18}", re.ASCII)
UNSIGNED = re.compile(r"\+?\d{1,18}", re.ASCII)
REVERSALS = frozenset({"252", "258", "395", "552", "558", "694"})
"""Type codes by which a bank takes another line back."""

_FUNDS = frozenset({"", "0", "1", "2", "S", "V", "D", "Z"})
_PLAIN_FUNDS = frozenset({"", "0", "1", "2", "Z"})
_LOAN_CREDITS = frozenset({706, 708, *range(720, 760)})


class Summary(NamedTuple):
    """One status or summary of an account (03): what `type_code` comes to."""

    type_code: str
    amount: str
    items: str
    funds_type: str


@dataclass(slots=True, kw_only=True)
class Detail:
    """One transaction (16)."""

    type_code: str
    amount: str
    funds_type: str
    value_on: str = ""
    availability: list[str] = field(default_factory=list)
    """What follows the funds type: amounts by day (S, D), or day and time of value (V)."""
    bank_reference: str = ""
    customer_reference: str = ""
    lines: list[str] = field(default_factory=list)
    """The text, as many lines as records hold it; where a record was full the next goes on."""


@lru_cache(maxsize=1_024)
def side_of(type_code: str) -> str | None:
    """Return `C` or `D` for the type code of a transaction, nothing for a remark, None for what is no transaction."""
    if not (len(type_code) == 3 and type_code.isascii() and type_code.isdigit()):
        return None
    code = int(type_code)
    if 100 <= code <= 399 or code in _LOAN_CREDITS or code in (827, 829) or 920 <= code <= 959:
        return "C"
    if 400 <= code <= 699 or 760 <= code <= 799 or code == 828 or 960 <= code <= 999:
        return "D"
    return "" if 890 <= code <= 899 else None


def summaries_of(fields: list[str]) -> list[Summary] | str:
    """Return what the fields of a 03 after its currency say, or what is wrong with them."""
    found: list[Summary] = []
    place = 0
    while place < len(fields):
        type_code, amount, items, funds = (each.strip() for each in (*fields[place : place + 4], "", "", "")[:4])
        more = _more(funds, fields[place + 4 : place + 5])
        if more is None:
            return f"{funds!r} is no funds type (0, 1, 2, S, V, D)"
        if type_code or amount:
            if not (len(type_code) == 3 and type_code.isascii() and type_code.isdigit()):
                return f"{type_code[:20]!r} is no type code"
            if amount and AMOUNT.fullmatch(amount) is None:
                return f"{amount[:20]!r} is no amount of type {type_code}"
            if items and not (items.isascii() and items.isdigit() and len(items) <= 9):
                return f"{items[:20]!r} is no number of items of type {type_code}"
            found.append(Summary(type_code, amount, items, funds))
        place += 4 + more
    return found


def detail_of(record: Record) -> Detail | Fault:
    """Return what a 16 says, over all that continues it, or what makes it unreadable."""
    fields, lines = _parted(record)
    if isinstance(fields, Fault):
        return fields
    type_code, amount, funds = fields[0].strip(), fields[1].strip(), fields[2].strip()
    side = side_of(type_code)
    if side is None:
        return Fault(code="bad_type", reason=f"16: {type_code[:20]!r} is no type code of a credit or a debit.")
    if side and UNSIGNED.fullmatch(amount) is None:
        return Fault(
            code="bad_amount",
            reason=f"16: {amount[:30]!r} is not whole minor units without a sign of type {type_code}.",
        )
    if not side and amount and int(amount if AMOUNT.fullmatch(amount) else 1):
        return Fault(code="bad_amount", reason=f"16: type {type_code} is a remark and carries {amount[:30]!r}.")
    availability, (bank, customer) = fields[3:-2], fields[-2:]
    value_on = ""
    if funds == "V" and availability[0].strip():
        value_on = day_of(availability[0].strip(), interest=True) or ""
        if not value_on:
            return Fault(code="bad_date", reason=f"16: {availability[0][:20]!r} is not a day of value (YYMMDD).")
    return Detail(
        type_code=type_code,
        amount=amount,
        funds_type=funds,
        value_on=value_on,
        availability=availability,
        bank_reference=bank.strip(),
        customer_reference=customer.strip(),
        lines=lines,
    )


def moment_of(day: str, time: str) -> str:
    """Return a day YYMMDD and a time HHMM as ISO 8601 has them, nothing where the day is none.

    2400 and 9999 are the end of the day: its last second, so that the day stays the same.
    """
    on = day_of(day)
    if on is None:
        return ""
    if time in ("2400", "9999"):
        return f"{on}T23:59:59"
    if len(time) == 4 and time.isascii() and time.isdigit() and int(time[:2]) < 24 and int(time[2:]) < 60:
        return f"{on}T{time[:2]}:{time[2:]}:00"
    return on


def _more(funds: str, following: list[str]) -> int | None:
    """Return how many fields the availability of a funds type takes, None where it is no such type."""
    if funds not in _FUNDS:
        return None
    if funds != "D":
        return {"S": 3, "V": 2}.get(funds, 0)
    count = following[0].strip() if following else ""
    return 1 + 2 * int(count) if count.isascii() and count.isdigit() and len(count) <= 4 else None


def _parted(record: Record) -> tuple[list[str] | Fault, list[str]]:
    """Part the fields of a 16 from the lines of its text: type, amount, funds type, availability, two references."""
    *fields, text = record.pieces[0].split(",", 5)
    if len(fields) == 5 and fields[2] in _PLAIN_FUNDS:
        # Nearly all: one record holds the fields, and no availability stands among them.
        lines = [without_end(text)]
        wanted, more = 5, record.pieces[1:]
        goes_on = record.is_cut(record.pieces[0])
    else:
        fields, lines, wanted, more, goes_on = [], [], 5, record.pieces, False
    for piece in more:
        text = without_end(piece)
        if lines:
            lines[-1:] = [lines[-1] + text] if goes_on else [lines[-1], text]
        else:
            values = text.split(",")
            if goes_on and fields:
                fields[-1] += values.pop(0)
            while values and len(fields) < wanted:
                fields.append(values.pop(0))
                if len(fields) in (3, 4):
                    availability = _more(fields[2].strip(), fields[3:4] or values[:1] or ["0"])
                    if availability is None:
                        fault = f"16: {fields[2][:20]!r} is no funds type (0, 1, 2, S, V, D)."
                        return Fault(code="bad_funds", reason=fault), lines
                    wanted = 5 + availability
            if values:
                lines.append(",".join(values))
        goes_on = record.is_cut(piece)
    return [*fields, *[""] * (wanted - len(fields))], lines
