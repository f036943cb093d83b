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
from typing import Protocol

from ingest.contract.amounts import FORMS, amount_pattern
from ingest.contract.rows import Fault
from ingest.contract.vocabulary import Case, Column, Contract, Difference, Kind, RecordType, Scale, Sign
from ingest.contract.zones import what_is_wrong, zone_of
from ledger_core.journal.money import exponent, is_currency

Columns = Sequence[Sequence[str]]

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d", re.ASCII)
_RATE = re.compile(r"\d{1,9}(?:\.\d{1,18})?", re.ASCII)
_SECONDS = re.compile(r"\d{1,11}", re.ASCII)
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?: (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)?", re.ASCII)
_INSTANT = re.compile(r"\d{4}/\d\d/\d\d (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d [+-](?:0\d|1[0-4])[0-5]\d", re.ASCII)
_MOMENTS = {
    Kind.TIMESTAMP: (_TIMESTAMP, "YYYY-MM-DD HH:MM:SS"),
    Kind.INSTANT: (_INSTANT, "YYYY/MM/DD HH:MM:SS +HHMM"),
    Kind.DATE: (_DATE, "YYYY-MM-DD"),
}
"""How a moment of each kind is written, as a pattern and for people."""


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
        pattern, _ = _MOMENTS[self.kind]
        return all(map(pattern.fullmatch, values)) and all(map(_in_calendar, {value[:10] for value in values}))

    def explain(self, row: Sequence[str]) -> Fault | None:
        value = row[self.place]
        pattern, form = _MOMENTS[self.kind]
        if not value or (pattern.fullmatch(value) and _in_calendar(value[:10])):
            return None
        return Fault(code="bad_date", reason=f"column {self.name}: {_shown(value)} is not a {self.kind} ({form}).")


@dataclass(frozen=True, slots=True, kw_only=True)
class Zoned:
    """Wherever there is a time, what stands beside it says one zone: the first of `labels` that is filled."""

    place: int
    name: str
    labels: tuple[int, ...]
    chosen: str | None
    source: str

    def passes(self, columns: Columns) -> bool:
        written = columns[self.place]
        said = labels_of(columns, self.labels)
        wrong = {label for label in set(said) if zone_of(label, chosen=self.chosen) is None}
        return not wrong or not any(time and label in wrong for time, label in zip(written, said, strict=True))

    def explain(self, row: Sequence[str]) -> Fault | None:
        label = next((row[place] for place in self.labels if row[place]), "")
        if not row[self.place] or zone_of(label, chosen=self.chosen) is not None:
            return None
        problem = what_is_wrong(label, source=self.source)
        return Fault(code="bad_zone", reason=f"column {self.name}: {problem}")


def labels_of(columns: Columns, places: Sequence[int]) -> Sequence[str]:
    """Return for each row the first filled value of the columns at `places`, nothing where there is none."""
    said: Sequence[str] = [""] * len(columns[0])
    for place in places:
        said = [one or other for one, other in zip(said, columns[place], strict=True)]
    return said


@dataclass(frozen=True, slots=True)
class Rate:
    """A plain decimal number; empty passes."""

    place: int
    name: str

    def passes(self, columns: Columns) -> bool:
        return all(value == "" or _RATE.fullmatch(value) for value in set(columns[self.place]))

    def explain(self, row: Sequence[str]) -> Fault | None:
        value = row[self.place]
        if value == "" or _RATE.fullmatch(value):
            return None
        return Fault(code="bad_rate", reason=f"column {self.name}: {_shown(value)} is not a rate such as 1.0656568.")


@dataclass(frozen=True, slots=True)
class Seconds:
    """Whole seconds since 1970, up to the year 5138; empty passes."""

    place: int
    name: str

    def passes(self, columns: Columns) -> bool:
        return all(value == "" or _SECONDS.fullmatch(value) for value in set(columns[self.place]))

    def explain(self, row: Sequence[str]) -> Fault | None:
        value = row[self.place]
        if not value or _SECONDS.fullmatch(value):
            return None
        return Fault(
            code="bad_date", reason=f"column {self.name}: {_shown(value)} is no time in whole seconds since 1970."
        )


@dataclass(frozen=True, slots=True)
class Currency:
    """An ISO 4217 code in the contract's case; empty passes."""

    place: int
    name: str
    case: Case = Case.ANY

    def passes(self, columns: Columns) -> bool:
        return all(
            value == "" or (_digits(value) is not None and self._in_case(value)) for value in set(columns[self.place])
        )

    def explain(self, row: Sequence[str]) -> Fault | None:
        value = row[self.place]
        if value and _digits(value) is None:
            problem = "is not an ISO 4217 currency"
        elif not self._in_case(value):
            problem = f"is not in {self.case} case, as this source writes its currencies"
        else:
            return None
        return Fault(code="bad_currency", reason=f"column {self.name}: {_shown(value)} {problem}.")

    def _in_case(self, value: str) -> bool:
        return self.case is Case.ANY or value == (value.upper() if self.case is Case.UPPER else value.lower())


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount in the contract's scale without digits below its currency's minor unit; empty passes.

    One that has its side beside it carries no sign of its own.
    """

    place: int
    name: str
    currency: int
    scale: Scale = Scale.MAJOR_DECIMAL
    signed: bool = True
    is_finer: bool = False

    def passes(self, columns: Columns) -> bool:
        values, codes = columns[self.place], columns[self.currency]
        distinct = set(codes)
        if len(distinct) == 1:
            return all(map(self._pattern(_digits(codes[0])).fullmatch, values))
        grouped: dict[str, list[str]] = {code: [] for code in distinct}
        for code, value in zip(codes, values, strict=True):
            grouped[code].append(value)
        return all(all(map(self._pattern(_digits(code)).fullmatch, group)) for code, group in grouped.items())

    def explain(self, row: Sequence[str]) -> Fault | None:
        value, code = row[self.place], row[self.currency]
        if self._pattern(_digits(code)).fullmatch(value):
            return None
        if self._pattern(None).fullmatch(value):
            problem = f"has digits below the minor unit of {code.upper()}"
        elif not self.signed and amount_pattern(self.scale, None).fullmatch(value):
            problem = "has a sign, and its side stands beside it"
        else:
            problem = f"is not {FORMS[self.scale]}"
        return Fault(code="bad_amount", reason=f"column {self.name}: {_shown(value)} {problem}.")

    def _pattern(self, digits: int | None) -> re.Pattern[str]:
        return amount_pattern(self.scale, None if self.is_finer else digits, signed=self.signed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicated:
    """Wherever there is an amount, and not zero, its indicator says a side, in one of the contract's two words."""

    place: int
    name: str
    amount: int
    words: frozenset[str]

    def passes(self, columns: Columns) -> bool:
        return set(columns[self.place]) <= self.words or all(
            side in self.words or (side == "" and not amount.strip("0"))
            for side, amount in zip(columns[self.place], columns[self.amount], strict=True)
        )

    def explain(self, row: Sequence[str]) -> Fault | None:
        side = row[self.place]
        if side in self.words or (side == "" and not row[self.amount].strip("0")):
            return None
        words = " nor ".join(sorted(self.words))
        return Fault(code="bad_side", reason=f"column {self.name}: {_shown(side)} is neither {words}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class OneSide:
    """Of a debit and the credit beside it one is filled at most, and one at least where an amount is required."""

    debit: int
    credit: int
    names: tuple[str, str]
    required: bool

    def passes(self, columns: Columns) -> bool:
        pairs = zip(columns[self.debit], columns[self.credit], strict=True)
        return all((debit == "") != (credit == "") or self._both_fit(debit, credit) for debit, credit in pairs)

    def explain(self, row: Sequence[str]) -> Fault | None:
        debit, credit = row[self.debit], row[self.credit]
        if (debit == "") != (credit == "") or self._both_fit(debit, credit):
            return None
        problem = "are both empty" if debit == "" else f"are both filled: {_shown(debit)} and {_shown(credit)}"
        return Fault(code="bad_side", reason=f"columns {self.names[0]} and {self.names[1]} {problem}.")

    def _both_fit(self, debit: str, credit: str) -> bool:
        """Tell whether two empty or two filled columns say something: nothing, or a zero that one of them pads with."""
        if debit == "" and credit == "":
            return not self.required
        return debit != "" and credit != "" and not (debit.strip("0.") and credit.strip("0."))


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


class Check(Protocol):
    """One thing that a contract says of its rows, put both ways."""

    def passes(self, columns: Columns) -> bool:
        """Tell whether every row of `columns` is so."""

    def explain(self, row: Sequence[str]) -> Fault | None:
        """Say what is wrong with `row`, None where nothing is."""


def checks_for(
    contract: Contract, record_type: RecordType, places: Mapping[str, int], *, zone: str | None = None
) -> list[Check]:
    """Return the checks for files of `contract` whose header has the record type's columns at `places`.

    In an order such that each may rely on those before it. `zone` is the one that is set for the source.
    """
    present = [column for column in record_type.columns if column.name in places]
    unsided = [column for column in present if column.required and column.opposite is None]
    checks: list[Check] = [Required(places[column.name], column.shown) for column in unsided]
    stand_ins = {
        record_type.stand_ins[column.name]
        for column in record_type.columns
        if column.required and column.name not in places and column.name in record_type.stand_ins
    }
    checks += [Required(places[name], name) for name in sorted(stand_ins & set(places))]
    credits = {column.opposite for column in present} - {None}
    for column in present:
        if column.kind is Kind.AMOUNT and column.currency in places:
            signed = column.indicator is None and column.opposite is None and column.name not in credits
            place, currency = places[column.name], places[column.currency]
            checks.append(Amount(place, column.shown, currency, contract.scale, signed, column.is_finer))
        elif check := _check_of(column, contract, places):
            checks.append(check)
        if column.zoned_by:
            labels = tuple(places[name] for name in column.zoned_by if name in places)
            checks.append(
                Zoned(place=places[column.name], name=column.shown, labels=labels, chosen=zone, source=contract.source)
            )
    checks += [side for column in present if (side := _side_of(column, contract, record_type, places))]
    if record_type.identity:
        checks.append(_identity(record_type.identity, places))
    return checks


def all_pass(checks: Sequence[Check], columns: Columns) -> bool:
    """Tell whether every row of `columns` passes every check."""
    return all(check.passes(columns) for check in checks)


def first_fault(checks: Sequence[Check], row: Sequence[str]) -> Fault | None:
    """Return what is wrong with `row`, or None."""
    return next((fault for check in checks if (fault := check.explain(row))), None)


def _check_of(column: Column, contract: Contract, places: Mapping[str, int]) -> Check | None:
    place = places[column.name]
    match column.kind:
        case Kind.TIMESTAMP | Kind.INSTANT | Kind.DATE:
            return Moment(place, column.shown, column.kind)
        case Kind.SECONDS:
            return Seconds(place, column.shown)
        case Kind.CURRENCY:
            return Currency(place, column.shown, contract.currency_case)
        case Kind.RATE:
            return Rate(place, column.shown)
        case _:
            return None


def _side_of(column: Column, contract: Contract, record_type: RecordType, places: Mapping[str, int]) -> Check | None:
    """Return the check of where the amount of `column` says its side. A file without that column is no such file."""
    place = places[column.name]
    match contract.sign:
        case Sign.DR_CR if column.indicator is not None:
            words = frozenset({contract.credit_word or "", contract.debit_word or ""})
            return Indicated(place=places[column.indicator], name=column.indicator, amount=place, words=words)
        case Sign.DEBIT_CREDIT_COLUMNS if column.opposite is not None:
            return OneSide(
                debit=place,
                credit=places[column.opposite],
                names=(column.shown, record_type.by_name[column.opposite].shown),
                required=column.required,
            )
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
        # Room for the distance of a zone on both sides.
        return 1970 <= date.fromisoformat(day.replace("/", "-")).year < 9999
    except ValueError:
        return False


@lru_cache(maxsize=1_024)
def _digits(code: str) -> int | None:
    """Return the decimals of a currency in either case, None for what is no currency."""
    upper = code.upper()
    return exponent(upper) if is_currency(upper) else None


def _shown(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:40] + "...")
