"""One statement while it is being read: its totals, and what makes a line of it unreadable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from ingest.contract.rows import ControlTotal, Fault
from ingest.contract.totals import balance_total, counted_total, details_agree, summed_total
from ingest.contract.vocabulary import MAX_FIELD_CHARS
from ingest.sources.camt053.contract import CONTRACT
from ingest.sources.camt053.elements import Detail, Entry, Summary, Values
from ledger_core.errors import InvalidAmount, InvalidInput
from ledger_core.journal.money import MAX_AMOUNT_MINOR, is_currency, minor_from_decimal

STATUSES = frozenset({"BOOK", "PDNG", "INFO", "FUTR"})
SIDES = {CONTRACT.credit_word: 1, CONTRACT.debit_word: -1}

_ELEMENTS = {"statement_id": "Stmt/Id", "account_iban": "Stmt/Acct/Id", "currency": "Stmt/Acct/Ccy"}


@dataclass(slots=True, kw_only=True)
class Statement:
    """Gathers what the totals need. Raises `InvalidInput` when made without id, account or currency."""

    ordinal: int
    values: Values
    summary: Summary
    file: str
    line: int
    entries: int = 0
    warnings: list[str] = field(default_factory=list)
    _booked_minor: int = 0
    _credits_minor: int = 0
    _debits_minor: int = 0
    _with_details: int = 0
    _agreeing: int = 0

    def __post_init__(self) -> None:
        for column, element in _ELEMENTS.items():
            if not self.values[column]:
                raise self._refused(f"statement {self.ordinal} lacks {element}.")
        if not is_currency(self.currency):
            raise self._refused(
                f"statement {self.ordinal}: {self.currency!r} in Stmt/Acct/Ccy is no ISO 4217 currency."
            )
        for column, (element, well_formed, form) in _FORMS.items():
            value = self.values[column]
            if value and not well_formed(value, self.currency):
                raise self._refused(f"statement {self.ordinal}: {_shown(value)} in {element} is no {form}.")

    @property
    def currency(self) -> str:
        return self.values["currency"] or ""

    @property
    def subject(self) -> str:
        return f"{self.ordinal}:{self.values['statement_id']}"

    def book(self, entry: Entry, details: list[Detail], *, line: int) -> None:
        """Add a readable entry to the sums; only booked ones move the balance."""
        side = SIDES[entry.values["indicator"] or ""]
        amount = side * minor_from_decimal(entry.values["amount"] or "", self.currency)
        if entry.values["status"] == "BOOK":
            self._booked_minor += amount
        if amount > 0:
            self._credits_minor += amount
        else:
            self._debits_minor -= amount
        own = [each for each in details if each.amount and each.currency == self.currency]
        if not details or len(own) != len(details):
            return
        self._with_details += 1
        try:
            minor = [
                SIDES[each.indicator or entry.values["indicator"] or ""] * self._minor(each.amount) for each in own
            ]
            charges = sum(SIDES[given or "DBIT"] * self._minor(charge) for charge, given in entry.charges)
        except (InvalidAmount, KeyError):
            minor, charges = [], 0
        if details_agree(entry_minor=amount, details_minor=minor, charges_minor=charges):
            self._agreeing += 1
        else:
            self.warnings.append(f"line {line}: the entry is not the sum of its {len(details)} details.")

    def totals(self) -> list[ControlTotal]:
        """Return the statement's control totals."""
        totals = [
            balance_total(
                subject=self.subject,
                currency=self.currency,
                opening_minor=self._balance("opening"),
                movements_minor=self._booked_minor,
                closing_minor=self._balance("closing"),
            )
        ]
        if self._with_details:
            totals.append(
                counted_total(
                    name="entry_details", subject=self.subject, expected=self._with_details, actual=self._agreeing
                )
            )
        if self.summary.entries and self.summary.entries.isdecimal():
            totals.append(
                counted_total(
                    name="summary_entries",
                    subject=self.subject,
                    expected=int(self.summary.entries),
                    actual=self.entries,
                )
            )
        for name, stated, actual in (
            ("summary_credits", self.summary.credits, self._credits_minor),
            ("summary_debits", self.summary.debits, self._debits_minor),
        ):
            expected = self._minor_or_none(stated)
            if expected is not None:
                totals.append(
                    summed_total(
                        name=name,
                        subject=self.subject,
                        currency=self.currency,
                        expected_minor=expected,
                        actual_minor=actual,
                    )
                )
        return totals

    def _balance(self, which: str) -> int | None:
        side = SIDES.get(self.values[f"{which}_indicator"] or "")
        minor = self._minor_or_none(self.values[f"{which}_amount"])
        return None if side is None or minor is None else side * minor

    def _minor(self, amount: str | None) -> int:
        return minor_from_decimal(amount or "", self.currency)

    def _minor_or_none(self, amount: str | None) -> int | None:
        try:
            return None if amount is None else self._minor(amount)
        except InvalidAmount:
            return None

    def _refused(self, problem: str) -> InvalidInput:
        return InvalidInput(
            problem,
            file=self.file,
            line=self.line,
            remedy="Ask the bank for the statement again; nothing of it was kept.",
        )


def line_fault(values: Values, *, currency: str) -> Fault | None:
    """Return what makes a line of an account in `currency` unreadable, or None."""
    for name, value in values.items():
        if value and len(value) > MAX_FIELD_CHARS:
            limit = f"{MAX_FIELD_CHARS} (MAX_FIELD_CHARS)"
            return Fault(code="too_long", reason=f"{name} has {len(value)} characters; the limit is {limit}.")
    if values["currency"] != currency:
        return Fault(
            code="bad_currency",
            reason=f"Ntry/Amt is in {_shown(values['currency'])}, the account in {currency}.",
        )
    try:
        amount = minor_from_decimal(values["amount"] or "", currency)
    except InvalidAmount as error:
        return Fault(code="bad_amount", reason=f"Ntry/Amt: {error.message}")
    if not 0 <= amount <= MAX_AMOUNT_MINOR:
        return Fault(
            code="bad_amount",
            reason=f"Ntry/Amt: {_shown(values['amount'])} is not between 0 and {MAX_AMOUNT_MINOR} minor units.",
        )
    if values["indicator"] not in SIDES:
        return Fault(code="bad_side", reason=f"CdtDbtInd is {_shown(values['indicator'])}, neither CRDT nor DBIT.")
    if values["status"] not in STATUSES:
        return Fault(
            code="bad_status", reason=f"Sts is {_shown(values['status'])}, none of {', '.join(sorted(STATUSES))}."
        )
    return _date_fault(values)


def _date_fault(values: Values) -> Fault | None:
    for column, element in (("booked_on", "BookgDt"), ("value_on", "ValDt")):
        day = values[column]
        if day and not _is_day(day):
            return Fault(code="bad_date", reason=f"{element}: {_shown(day)} is not a date (YYYY-MM-DD).")
    if values["status"] == "BOOK" and not values["booked_on"]:
        return Fault(code="empty", reason="a booked entry has no BookgDt.")
    return None


def _is_day(text: str) -> bool:
    try:
        return len(text) == 10 and date.fromisoformat(text).year >= 1970
    except ValueError:
        return False


def _shown(value: str | None) -> str:
    return "missing" if value is None else repr(value if len(value) <= 40 else value[:40] + "...")


def _is_amount(text: str, currency: str) -> bool:
    try:
        return 0 <= minor_from_decimal(text, currency) <= MAX_AMOUNT_MINOR
    except InvalidAmount:
        return False


def _starts_with_day(text: str, _: str) -> bool:
    return _is_day(text[:10])


def _is_number(text: str, _: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18


def _is_page(text: str, _: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5


def _is_boolean(text: str, _: str) -> bool:
    return text in ("true", "false", "1", "0")


def _is_side(text: str, _: str) -> bool:
    return text in SIDES


# What is said of a whole statement must be well formed, or nothing that follows from it can be trusted.
_FORMS: dict[str, tuple[str, Callable[[str, str], bool], str]] = {
    "electronic_sequence": ("Stmt/ElctrncSeqNb", _is_number, "number"),
    "legal_sequence": ("Stmt/LglSeqNb", _is_number, "number"),
    "from_at": ("Stmt/FrToDt", _starts_with_day, "date"),
    "to_at": ("Stmt/FrToDt", _starts_with_day, "date"),
    "created_at": ("Stmt/CreDtTm", _starts_with_day, "date"),
    "page": ("MsgPgntn/PgNb", _is_page, "page number"),
    "is_last_page": ("MsgPgntn/LastPgInd", _is_boolean, "boolean"),
    "opening_amount": ("Stmt/Bal/Amt", _is_amount, "amount"),
    "opening_indicator": ("Stmt/Bal/CdtDbtInd", _is_side, "side"),
    "opening_on": ("Stmt/Bal/Dt", _starts_with_day, "date"),
    "closing_amount": ("Stmt/Bal/Amt", _is_amount, "amount"),
    "closing_indicator": ("Stmt/Bal/CdtDbtInd", _is_side, "side"),
    "closing_on": ("Stmt/Bal/Dt", _starts_with_day, "date"),
}
