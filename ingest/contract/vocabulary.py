"""What a source promises, declared once: the vocabulary in which `ingest/sources/<source>/contract.py` is written.

Not a parser and not a table. Parsers read the columns, the delimiter and the format here; `raw.sources`, which SQL asks
for kind, unit and zone, the claims on bank lines and the canonical events are mirrored from here into the database. The
raw tables are frozen in a migration and the published page is written by hand; tests say when either parts from this.

The invariant: a value reaches a raw table exactly as it came, or not at all. A contract says what is checked, never how
something is converted; conversion is dbt's staging.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

MAX_FIELD_CHARS = 32_768
"""No field of a payment report is longer: Stripe caps metadata values at 500 and descriptions at 1,000 characters,
ISO 20022 an additional text at 500. A longer one is a lost quote or an attack."""

ENCODINGS = ("utf-8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252")
"""In each of them ASCII is a byte a character and no part of another: a line break and a card number are found in the
bytes as they came."""


class SourceKind(StrEnum):
    """Whose word a source brings. Code that matches asks for the kind, never for a source's name."""

    PSP = "psp"
    """A provider's items and payouts."""
    BANK = "bank"
    """Statements of the company's own bank accounts."""
    RAIL = "rail"
    """What became of payments that the company itself sent."""


class Scale(StrEnum):
    """How many of the source's units make one major unit of the currency."""

    API_MINOR = "api_minor"
    """Whole minor units."""
    MAJOR_DECIMAL = "major_decimal"
    """Decimal text in major units."""
    X100_ALWAYS = "x100_always"
    """Hundredths for every currency, yen included (PayPal)."""
    SIX_DECIMALS = "six_decimals"
    """Decimal text in major units, always with six decimals (dLocal)."""


class Sign(StrEnum):
    """Where the direction of an amount stands. An amount that names neither indicator nor opposite is signed."""

    SIGNED = "signed"
    DR_CR = "dr_cr"
    """An indicator beside an unsigned amount."""
    DEBIT_CREDIT_COLUMNS = "debit_credit_columns"
    """Two columns, of which one holds an unsigned amount."""


class Case(StrEnum):
    """How currencies are written."""

    ANY = "any"
    UPPER = "upper"
    LOWER = "lower"


class Kind(StrEnum):
    """What the text of a column must look like; an empty optional value always passes."""

    TEXT = "text"
    ID = "id"
    AMOUNT = "amount"
    CURRENCY = "currency"
    TIMESTAMP = "timestamp"
    """`YYYY-MM-DD HH:MM:SS` in the contract's time zone."""
    INSTANT = "instant"
    """`YYYY/MM/DD HH:MM:SS +HHMM`: its own distance from UTC stands in it."""
    DATE = "date"
    """`YYYY-MM-DD`, or a timestamp."""
    RATE = "rate"
    """A plain decimal number, in no currency."""
    SECONDS = "seconds"
    """Whole seconds since 1970 in UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a report or one field of a statement's line, named as the provider names it."""

    name: str
    kind: Kind = Kind.TEXT
    mandatory: bool = False
    """The header must have it; a file without it is another report."""
    required: bool = False
    """No row may leave it empty."""
    currency: str | None = None
    """The column that holds this amount's currency."""
    indicator: str | None = None
    """`dr_cr`: the column that says whether this amount is a debit or a credit."""
    opposite: str | None = None
    """`debit_credit_columns`: of a debit, the column of the credit beside it. `required` asks for one of the two."""
    free_text: bool = False
    """People write here whatever its kind, so card numbers are looked for here as in every text."""
    personal: bool = False
    """Names a person: stays in the encrypted bytes alone."""
    stands_for: str | None = None
    """The column in the contract's zone that this one, in the zone of the report, may stand in for."""
    written: tuple[str, ...] = ()
    """How the provider heads the column, where that is no name of a table's column; the first is today's. Found by
    letters and digits alone, in either case."""
    zoned_by: tuple[str, ...] = ()
    """The columns that say row by row in which zone this time is, as a label or a name; the first that is filled."""
    is_finer: bool = False
    """An amount that may have digits below its currency's minor unit."""

    @property
    def shown(self) -> str:
        """How people know the column: as the provider writes it."""
        return self.written[0] if self.written else self.name

    @property
    def is_free_text(self) -> bool:
        """Whether a card number may stand here: in whatever is no id, amount, currency or date."""
        return self.free_text or self.kind is Kind.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An identity within a row: `total = minuend - subtrahend`, exactly."""

    total: str
    minuend: str
    subtrahend: str


class Carries(StrEnum):
    """Which side of matching waits for a record type: nothing is missing before its report has come."""

    ITEMS = "items"
    PAYOUTS = "payouts"
    ITEMS_AND_PAYOUTS = "items_and_payouts"
    BANK = "bank"
    NOTHING = "nothing"
    """It tells how something goes on whose money stands elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRows:
    """Which rows of a report are payouts, so that items and payouts can tell the sign in which it writes them."""

    payout_id: str
    type: str
    value: str
    reversal: str
    """The type of what comes back of a payout, of the other sign."""
    gross: str
    fee: str
    net: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledRows:
    """Which payout settles an item, and what the item moves, signed as the balance moves."""

    payout_id: str
    type: str
    net: str


@dataclass(frozen=True, kw_only=True)
class RecordType:
    """One kind of record of a source and the raw table that holds it."""

    name: str
    table: str
    columns: tuple[Column, ...]
    reports: tuple[str, ...] = ()
    """The provider's own names of the reports this reads."""
    dated_by: str
    """The column whose first and last value say which days the file covers, in UTC as all our days."""
    carries: Carries = Carries.ITEMS_AND_PAYOUTS
    """Of a provider's record type, what of matching stands in it; a bank's carries its lines."""
    identity: Difference | None = None
    selected_by: tuple[str, ...] = ()
    """The columns of the day by which the provider selects rows for a report, the first that is filled; `dated_by` for
    a row that fills none."""
    identified_by: str | tuple[str, ...] | None = None
    """The column of the provider's id of a row, or the columns that make it together: a report that repeats ids of
    another may be a newer version of it."""
    sliced_by: tuple[str, ...] = ()
    """The columns by which reports are filtered: a report says nothing of the rows of a kind that it does not hold."""
    payout_rows: PayoutRows | None = None
    settled_rows: SettledRows | None = None

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        return {column.name: column for column in self.columns}

    @cached_property
    def stored(self) -> tuple[Column, ...]:
        """The columns that the raw table has."""
        return tuple(column for column in self.columns if not column.personal)

    @cached_property
    def mandatory(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.mandatory)

    @cached_property
    def id_columns(self) -> tuple[str, ...]:
        """The columns that identify a row; none where nothing does."""
        return (self.identified_by,) if isinstance(self.identified_by, str) else self.identified_by or ()

    @cached_property
    def stand_ins(self) -> Mapping[str, str]:
        """The column that may stand in for another, by the name of the other."""
        return {column.stands_for: column.name for column in self.columns if column.stands_for}


class Purpose(StrEnum):
    """What it means when the pattern of a claim is found."""

    OWNERSHIP = "ownership"
    """The line is the provider's."""
    PAYOUT_REFERENCE = "payout_reference"
    """The line carries a reference of the provider's, so that it never falls back on its amount."""


CLAIMED_FIELDS = frozenset({"counterparty_name", "remittance", "additional_info"})
"""The texts that a bank line of any format has, by their names in the staging models of bank lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a provider's bank lines look like, at any bank: `pattern` (a Postgres `~*` expression) in `field`."""

    field: str
    pattern: str
    purpose: Purpose = Purpose.OWNERSHIP


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Everything a source promises about its files."""

    source: str
    kind: SourceKind
    provider: str | None
    """None for a bank: it speaks for nobody but the account holder."""
    parser_version: int
    """Raised whenever the same bytes would give other rows."""
    format: str
    """`csv`, `xml`, `json`, `mt940` or `bai2`."""
    encoding: str
    """One of `ENCODINGS`."""
    scale: Scale
    sign: Sign
    time_zone: str
    currency_case: Case
    record_types: tuple[RecordType, ...]
    delimiter: str = ","
    credit_word: str | None = None
    debit_word: str | None = None
    """`dr_cr`: what an indicator says."""
    events: Mapping[str, str] = field(default_factory=dict)
    """The provider's types to canonical events. A type that is not here is kept as it is: the break
    `unclassified_type`."""
    claims: tuple[Claim, ...] = ()
    """Which bank lines are this provider's."""
    kept_columns: str | None = None
    """Columns outside the list that are expected: kept in `extra` without a warning."""
    reference_columns: str | None = None
    """Names of columns outside the list that hold references: the only ones that are not searched for card numbers."""
    personal_columns: str | None = None
    """Names of columns outside the list that are not stored."""

    def __post_init__(self) -> None:
        if self.kind is SourceKind.BANK:
            assert self.provider is None, f"{self.source}: a bank is no provider"
            assert not self.claims, f"{self.source}: a bank claims nothing, providers claim its lines"
        assert {claim.field for claim in self.claims} <= CLAIMED_FIELDS, f"{self.source}: no such text of a bank line"
        assert self.encoding in ENCODINGS, f"{self.source}: files in {self.encoding} cannot be read"
        self._assert_signs()

    def _assert_signs(self) -> None:
        columns = [column for record_type in self.record_types for column in record_type.columns]
        by_indicator = any(column.indicator for column in columns)
        by_column = any(column.opposite for column in columns)
        assert by_indicator == (self.sign is Sign.DR_CR), f"{self.source}: {self.sign}, and which amount has a side?"
        assert by_column == (self.sign is Sign.DEBIT_CREDIT_COLUMNS), f"{self.source}: {self.sign}, and which columns?"
        worded = self.credit_word is not None and self.debit_word is not None
        assert worded == by_indicator, f"{self.source}: an indicator needs a word for credit and one for debit"
        for record_type in self.record_types:
            named = {column.indicator for column in record_type.columns}
            named |= {column.opposite for column in record_type.columns}
            named |= {column.currency for column in record_type.columns}
            named |= {name for column in record_type.columns for name in column.zoned_by}
            named |= set(record_type.id_columns)
            missing = named - {None} - set(record_type.by_name)
            assert not missing, f"{self.source}: {record_type.name} has no {missing}"

    def record_type(self, name: str) -> RecordType:
        """Return the record type called `name`."""
        return next(record_type for record_type in self.record_types if record_type.name == name)

    def expects(self, column: str) -> bool:
        """Tell whether a column outside the list is no surprise."""
        return _matches(self.kept_columns, column)

    def is_free_text(self, column: str) -> bool:
        """Tell whether a column outside the list is searched for card numbers."""
        return not _matches(self.reference_columns, column)

    def is_personal(self, column: str) -> bool:
        """Tell whether a column outside the list names a person."""
        return _matches(self.personal_columns, column)


def _matches(pattern: str | None, name: str) -> bool:
    return pattern is not None and re.search(pattern, name, re.IGNORECASE) is not None
