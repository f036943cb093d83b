"""One statement while it is being read: its totals, and what makes a line of it unreadable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ingest.contract.rows import ControlTotal, Fault
from ingest.contract.totals import balance_total, counted_total, details_agree, summed_total
from ingest.contract.vocabulary import MAX_FIELD_CHARS
from ingest.sources.camt053.contract import CONTRACT
from ingest.sources.camt053.elements import BOOLEANS, Charges, Detail, Entry, Summary, Values, is_day
from ledger_core.errors import InvalidAmount, InvalidInput
from ledger_core.journal.money import MAX_AMOUNT_MINOR, decimal_from_minor, is_currency, minor_from_decimal

STATUSES = frozenset({"BOOK", "PDNG", "INFO", "FUTR"})
SIDES = {CONTRACT.credit_word: 1, CONTRACT.debit_word: -1}

_ELEMENTS = {"statement_id": "Stmt/Id", "account_iban": "Stmt/Acct/Id", "currency": "Stmt/Acct/Ccy"}
_DAYS = ("closing_on", "opening_on", "from_at", "to_at", "created_at")


@dataclass(slots=True, kw_only=True)
class _Moved:
    """How many entries there are and what they move."""

    entries: int = 0
    credits_minor: int = 0
    debits_minor: int = 0

    @property
    def net_minor(self) -> int:
        return self.credits_minor - self.debits_minor

    def add(self, amount_minor: int) -> None:
        self.entries += 1
        if amount_minor > 0:
            self.credits_minor += amount_minor
        else:
            self.debits_minor -= amount_minor


@dataclass(slots=True, kw_only=True)
class Statement:
    """Gathers what the totals need. Raises `InvalidInput` when made without id, account or currency."""

    ordinal: int
    values: Values
    extra: dict[str, str]
    summary: Summary
    file: str
    line: int
    entries: int = 0
    """Of every status, those that are put aside included."""
    warnings: list[str] = field(default_factory=list)
    _all: _Moved = field(default_factory=_Moved)
    _booked: _Moved = field(default_factory=_Moved)
    _with_details: int = 0
    _agreeing: int = 0

    def __post_init__(self) -> None:
        for column, element in _ELEMENTS.items():
            if not self.values[column]:
                raise self._refused(f"statement {self.ordinal} lacks {element}.")
        if not any(self.values[column] for column in _DAYS):
            raise self._refused(f"statement {self.ordinal} has no day: neither balances nor a period nor CreDtTm.")
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

    def adds_up(self, entry: Entry, details: list[Detail]) -> bool:
        """Tell whether all `details` carry amounts in the account's currency that make the amount of `entry`."""
        if not self._carry_amounts(details):
            return False
        try:
            amount = SIDES[entry.values["indicator"] or ""] * self._minor(entry.values["amount"])
            minor = [
                SIDES[each.indicator or entry.values["indicator"] or ""] * self._minor(each.amount) for each in details
            ]
            charged = [self._charged(entry.charges), sum(self._charged(each.charges) for each in details)]
        except (InvalidAmount, KeyError):
            return False
        return details_agree(entry_minor=amount, details_minor=minor, charges_minor=charged)

    def after_charges(self, entry: Entry, details: list[Detail]) -> list[Detail]:
        """Return `details` that add up to `entry` with the amounts that moved on the account.

        Where the charges of the details explain the difference, a detail states what it was before its charge: less
        the charge it is its part of the entry, and `extra` keeps what was stated.
        """
        side = entry.values["indicator"] or ""
        entry_minor = SIDES[side] * self._minor(entry.values["amount"])
        stated = [SIDES[each.indicator or side] * self._minor(each.amount) for each in details]
        charges = [self._charged(each.charges) for each in details]
        if entry_minor == sum(stated) or entry_minor != sum(stated) + sum(charges):
            return details
        return [
            self._charged_detail(each, stated_minor + charge) if charge else each
            for each, stated_minor, charge in zip(details, stated, charges, strict=True)
        ]

    def _charged_detail(self, detail: Detail, moved_minor: int) -> Detail:
        return replace(
            detail,
            amount=decimal_from_minor(abs(moved_minor), self.currency),
            indicator=CONTRACT.debit_word if moved_minor < 0 else CONTRACT.credit_word,
            extra={**detail.extra, "amount_before_charges": detail.amount or ""},
        )

    def book(self, entry: Entry, details: list[Detail], *, line: int) -> None:
        """Add a readable entry to the sums; only booked ones move the balance."""
        amount = SIDES[entry.values["indicator"] or ""] * self._minor(entry.values["amount"])
        self._all.add(amount)
        if entry.values["status"] == "BOOK":
            self._booked.add(amount)
        if not self._carry_amounts(details):
            return
        self._with_details += 1
        if self.adds_up(entry, details):
            self._agreeing += 1
        else:
            self.warnings.append(f"line {line}: the entry is not the sum of its {len(details)} details.")

    def _carry_amounts(self, details: list[Detail]) -> bool:
        return bool(details) and all(each.amount and each.currency == self.currency for each in details)

    def _charged(self, charges: Charges) -> int:
        """Return the sum of charges in the account's currency; one without a side was taken."""
        own = [(amount, side) for amount, currency, side in charges if currency == self.currency]
        return sum(SIDES[side or "DBIT"] * self._minor(amount) for amount, side in own)

    def totals(self) -> list[ControlTotal]:
        """Return the statement's control totals."""
        totals = [
            balance_total(
                subject=self.subject,
                currency=self.currency,
                opening_minor=self._balance("opening"),
                movements_minor=self._booked.net_minor,
                closing_minor=self._balance("closing"),
            )
        ]
        if self._with_details:
            totals.append(
                counted_total(
                    name="entry_details", subject=self.subject, expected=self._with_details, actual=self._agreeing
                )
            )
        return [*totals, *self._summary_totals()]

    def _summary_totals(self) -> Iterator[ControlTotal]:
        """Yield what `TxsSummry` counts, each against all entries or, where those differ, against the booked ones.

        Banks do either. A sum beside the word for its side may carry that side's sign as well.
        """
        stated = self.summary.entries
        if stated and stated.isascii() and stated.isdecimal():
            booked = self._booked.entries + self.entries - self._all.entries
            actual = booked if int(stated) == booked else self.entries
            yield counted_total(name="summary_entries", subject=self.subject, expected=int(stated), actual=actual)
        for name, text, every, booked_minor in (
            ("summary_credits", self.summary.credits, self._all.credits_minor, self._booked.credits_minor),
            ("summary_debits", self.summary.debits, self._all.debits_minor, self._booked.debits_minor),
        ):
            signed = self._minor_or_none(text)
            if signed is not None:
                expected = abs(signed)
                yield summed_total(
                    name=name,
                    subject=self.subject,
                    currency=self.currency,
                    expected_minor=expected,
                    actual_minor=booked_minor if expected == booked_minor else every,
                )

    def _balance(self, which: str) -> int | None:
        side = SIDES.get(self.values[f"{which}_indicator"] or "")
        minor = self._minor_or_none(self.values[f"{which}_amount"])
        return None if side is None or minor is None else side * minor

    def _minor(self, amount: str | None) -> int:
        return _minor(amount or "", self.currency)

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


def line_fault(values: Values, extra: Mapping[str, Any], *, currency: str) -> Fault | None:
    """Return what makes a line of an account in `currency` unreadable, or None."""
    lists = [(name, each) for name, value in extra.items() for each in (value if isinstance(value, list) else [value])]
    for name, value in [*values.items(), *lists]:
        if value and len(value) > MAX_FIELD_CHARS:
            limit = f"{MAX_FIELD_CHARS} (MAX_FIELD_CHARS)"
            return Fault(code="too_long", reason=f"{name} has {len(value)} characters; the limit is {limit}.")
    if values["currency"] != currency:
        return Fault(
            code="bad_currency",
            reason=f"Ntry/Amt is in {_shown(values['currency'])}, the account in {currency}.",
        )
    try:
        amount = _minor(values["amount"] or "", currency)
    except InvalidAmount as error:
        return Fault(code="bad_amount", reason=f"Ntry/Amt: {error.message}")
    if not 0 <= amount <= MAX_AMOUNT_MINOR:
        return Fault(
            code="bad_amount",
            reason=f"Ntry/Amt: {_shown(values['amount'])} is not between 0 and {MAX_AMOUNT_MINOR} minor units.",
        )
    if values["indicator"] not in SIDES:
        return Fault(code="bad_side", reason=f"CdtDbtInd is {_shown(values['indicator'])}, neither CRDT nor DBIT.")
    if values["is_reversal"] and values["is_reversal"] not in BOOLEANS:
        return Fault(code="bad_boolean", reason=f"RvslInd is {_shown(values['is_reversal'])}, neither true nor false.")
    if values["status"] not in STATUSES:
        return Fault(
            code="bad_status", reason=f"Sts is {_shown(values['status'])}, none of {', '.join(sorted(STATUSES))}."
        )
    return _date_fault(values)


def _date_fault(values: Values) -> Fault | None:
    for column, element in (("booked_on", "BookgDt"), ("value_on", "ValDt")):
        day = values[column]
        if day and not is_day(day):
            return Fault(code="bad_date", reason=f"{element}: {_shown(day)} is not a date (YYYY-MM-DD).")
    if values["status"] == "BOOK" and not (values["booked_on"] or values["value_on"]):
        return Fault(code="empty", reason="a booked entry has no day, neither BookgDt nor ValDt.")
    return None


def _minor(text: str, currency: str) -> int:
    """Return the minor units of an `xs:decimal`, which needs no digit before its point: `.50` is fifty cents."""
    sign, digits = (text[:1], text[1:]) if text[:1] in ("+", "-") else ("", text)
    return minor_from_decimal(f"{sign}0{digits}" if digits[:1] == "." and digits[1:] else text, currency)


def _shown(value: str | None) -> str:
    return "missing" if value is None else repr(value if len(value) <= 40 else value[:40] + "...")


def _is_amount(text: str, currency: str) -> bool:
    try:
        return 0 <= _minor(text, currency) <= MAX_AMOUNT_MINOR
    except InvalidAmount:
        return False


def _starts_with_day(text: str, _: str) -> bool:
    return is_day(text[:10])


def _is_number(text: str, _: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18


def _is_page(text: str, _: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5


def _is_boolean(text: str, _: str) -> bool:
    return text in BOOLEANS


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
