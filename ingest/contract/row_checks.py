"""Whether the values of a row are what the contract says, asked of thousands of rows at once.

Each check can be put two ways, and both must agree: `passes` looks at whole columns and costs a fraction of a
microsecond a value; `explain` looks at one row and says what is wrong with it. The slow question is asked only where
the fast one said no.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache

from ingest.contract.rows import Fault
from ingest.contract.vocabulary import Column, Difference, Kind, RecordType
from ledger_core.journal.money import exponent, is_currency

MAX_AMOUNT_DIGITS = 15
"""Before the point: a quadrillion in major units, with room below 2^63 for three decimals."""

Columns = Sequence[Sequence[str]]

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d", re.ASCII)
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?: (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Required:
    """The column is never empty."""

    place: int
    name: str

    def passes(self, columns: Columns) -> bool:
        return "" not in columns[self.place]

    def explain(self, row: Sequence[str]) -> Fault | None:
        if row[self.place]:
            return None
        return Fault(code="empty", reason=f"column {self.name} is empty.")


@dataclass(frozen=True, slots=True)
class Moment:
    """A timestamp or a date that the calendar has; empty passes."""

    place: int
    name: str
    kind: Kind

    def passes(self, columns: Columns) -> bool:
        values = set(columns[self.place])
        values.discard("")
        pattern = _TIMESTAMP if self.kind is Kind.TIMESTAMP else _DATE
        return all(map(pattern.fullmatch, values)) and all(map(_in_calendar, {value[:10] for value in values}))

    def explain(self, row: Sequence[str]) -> Fault | None:
        value = row[self.place]
        pattern = _TIMESTAMP if self.kind is Kind.TIMESTAMP else _DATE
        if not value or (pattern.fullmatch(value) and _in_calendar(value[:10])):
            return None
        form = "YYYY-MM-DD HH:MM:SS" if self.kind is Kind.TIMESTAMP else "YYYY-MM-DD"
        return Fault(code="bad_date", reason=f"column {self.name}: {_shown(value)} is not a {self.kind} ({form}).")


@dataclass(frozen=True, slots=True)
class Currency:
    """An ISO 4217 code in either case; empty passes."""

    place: int
    name: str

    def passes(self, columns: Columns) -> bool:
        return all(value == "" or _digits(value) is not None for value in set(columns[self.place]))

    def explain(self, row: Sequence[str]) -> Fault | None:
        value = row[self.place]
        if not value or _digits(value) is not None:
            return None
        return Fault(code="bad_currency", reason=f"column {self.name}: {_shown(value)} is not an ISO 4217 currency.")


@dataclass(frozen=True, slots=True)
class Amount:
    """A plain decimal in major units without digits below its currency's minor unit; empty passes."""

    place: int
    name: str
    currency: int

    def passes(self, columns: Columns) -> bool:
        values, codes = columns[self.place], columns[self.currency]
        distinct = set(codes)
        if len(distinct) == 1:
            return all(map(_amount_of(_digits(codes[0])).fullmatch, values))
        grouped: dict[str, list[str]] = {code: [] for code in distinct}
        for code, value in zip(codes, values, strict=True):
            grouped[code].append(value)
        return all(all(map(_amount_of(_digits(code)).fullmatch, group)) for code, group in grouped.items())

    def explain(self, row: Sequence[str]) -> Fault | None:
        value, code = row[self.place], row[self.currency]
        if _amount_of(_digits(code)).fullmatch(value):
            return None
        if _amount_of(None).fullmatch(value):
            problem = f"has digits below the minor unit of {code.upper()}"
        else:
            problem = f"is not a plain decimal amount of at most {MAX_AMOUNT_DIGITS} digits, such as -1234.56"
        return Fault(code="bad_amount", reason=f"column {self.name}: {_shown(value)} {problem}.")


@dataclass(frozen=True, slots=True)
class Identity:
    """`total = minuend - subtrahend`; only asked of rows whose amounts are amounts."""

    total: int
    minuend: int
    subtrahend: int
    sentence: str

    def passes(self, columns: Columns) -> bool:
        differences = map(operator.sub, map(Decimal, columns[self.minuend]), map(Decimal, columns[self.subtrahend]))
        return all(map(operator.eq, differences, map(Decimal, columns[self.total])))

    def explain(self, row: Sequence[str]) -> Fault | None:
        minuend, subtrahend, total = row[self.minuend], row[self.subtrahend], row[self.total]
        if Decimal(minuend) - Decimal(subtrahend) == Decimal(total):
            return None
        return Fault(code="identity", reason=f"{self.sentence} does not hold: {minuend} - {subtrahend} is not {total}.")


Check = Required | Moment | Currency | Amount | Identity


def checks_for(record_type: RecordType, places: Mapping[str, int]) -> list[Check]:
    """Return the checks for files whose header has the record type's columns at `places`.

    In an order such that each may rely on those before it.
    """
    present = [column for column in record_type.columns if column.name in places]
    checks: list[Check] = [Required(places[column.name], column.name) for column in present if column.required]
    for column in present:
        check = _check_of(column, places)
        if check:
            checks.append(check)
    if record_type.identity:
        checks.append(_identity(record_type.identity, places))
    return checks


def all_pass(checks: Sequence[Check], columns: Columns) -> bool:
    """Tell whether every row of `columns` passes every check."""
    return all(check.passes(columns) for check in checks)


def first_fault(checks: Sequence[Check], row: Sequence[str]) -> Fault | None:
    """Return what is wrong with `row`, or None."""
    return next((fault for check in checks if (fault := check.explain(row))), None)


def _check_of(column: Column, places: Mapping[str, int]) -> Check | None:
    place = places[column.name]
    match column.kind:
        case Kind.TIMESTAMP | Kind.DATE:
            return Moment(place, column.name, column.kind)
        case Kind.CURRENCY:
            return Currency(place, column.name)
        case Kind.AMOUNT if column.currency and column.currency in places:
            return Amount(place, column.name, places[column.currency])
        case _:
            return None


def _identity(rule: Difference, places: Mapping[str, int]) -> Identity:
    return Identity(
        places[rule.total],
        places[rule.minuend],
        places[rule.subtrahend],
        f"{rule.minuend} - {rule.subtrahend} = {rule.total}",
    )


@lru_cache(maxsize=4_096)
def _in_calendar(day: str) -> bool:
    try:
        return date.fromisoformat(day).year >= 1970
    except ValueError:
        return False


@lru_cache(maxsize=1_024)
def _digits(code: str) -> int | None:
    """Return the decimals of a currency in either case, None for what is no currency."""
    upper = code.upper()
    return exponent(upper) if is_currency(upper) else None


@lru_cache(maxsize=16)
def _amount_of(digits: int | None) -> re.Pattern[str]:
    """Return the pattern of an amount with `digits` decimals that count; None takes any number of them."""
    fraction = r"\d{1,12}" if digits is None else rf"\d{{1,{digits}}}0{{0,6}}" if digits else "0{1,6}"
    return re.compile(rf"(?:-?\d{{1,{MAX_AMOUNT_DIGITS}}}(?:\.{fraction})?)?", re.ASCII)


def _shown(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:40] + "...")
