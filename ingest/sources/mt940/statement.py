"""One statement, or a page of one, while it is being read: what its fields say, and its totals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ingest.contract.rows import ControlTotal
from ingest.contract.totals import balance_total, counted_total, summed_total
from ingest.contract.vocabulary import MAX_FIELD_CHARS
from ingest.formats.accounts import account_of
from ingest.formats.days import day_of
from ingest.sources.mt940.contract import CONTRACT
from ledger_core.errors import InvalidAmount, InvalidInput
from ledger_core.journal.money import MAX_AMOUNT_MINOR, exponent, is_currency, minor_from_decimal

SIDES = {CONTRACT.credit_word: 1, CONTRACT.debit_word: -1}

_BALANCE = re.compile(r"([CD])(\d{6})([A-Z]{3})(\d{1,15}(?:,\d{0,9})?)", re.ASCII)
_NUMBER = re.compile(r"0*(\d{1,18})(?:/0*(\d{1,5}))?(?:/.*)?", re.ASCII)
_MADE = re.compile(r"(\d{6})(\d\d)(\d\d)(?:([+-]\d\d)(\d\d))?", re.ASCII)
_SUMS = (
    re.compile(r"/SUM/(\d+)/(\d+)/([\d,]+)/([\d,]+)/?"),
    re.compile(r"D(\d{6})C(\d{6})D([\d,]+)C([\d,]+)"),
)
"""What ING counts in the `:86:` of a statement: debits, credits, and their sums."""


@dataclass(slots=True, kw_only=True)
class Statement:
    """What a message says of itself, field by field, and the sums of its entries."""

    ordinal: int
    file: str
    line: int
    values: dict[str, str] = field(default_factory=dict)
    extra: dict[str, object] = field(default_factory=dict)
    entries: int = 0
    """Those that are put aside included."""
    continues: bool = False
    """It opens with an interim balance: it is a later page."""
    counts: tuple[int, int, str, str] | None = None
    debits: int = 0
    debits_minor: int = 0
    credits: int = 0
    credits_minor: int = 0

    @property
    def currency(self) -> str:
        return self.values.get("currency", "")

    @property
    def is_closed(self) -> bool:
        return "closing_amount" in self.values

    @property
    def subject(self) -> str:
        return f"{self.ordinal}:{self.values['statement_id']}"

    def take(self, tag: str, text: str, *, line: int) -> None:
        """Take a field that is no entry. Raises `InvalidInput` where what it says of the whole is no such thing."""
        first = text.partition("\n")[0].strip()
        if len(text) > MAX_FIELD_CHARS:
            limit = f"{MAX_FIELD_CHARS} (MAX_FIELD_CHARS)"
            raise self._refused(f":{tag}: has {len(text)} characters; the limit is {limit}.", line)
        match tag:
            case "21":
                self.values["related_reference"] = first
            case "25" | "25P":
                self._take_account(first, text)
            case "28" | "28C":
                self._take_number(first, line)
            case "60F" | "60M":
                self.continues = tag == "60M"
                self._take_balance("opening", tag, first, line)
            case "62F" | "62M":
                self.values["is_last_page"] = "true" if tag == "62F" else "false"
                self._take_balance("closing", tag, first, line)
            case "64" | "65":
                named = "available" if tag == "64" else "forward"
                self.extra[named] = [*self._list(named), first]
            case "13" | "13D":
                self._take_moment(first)
            case "86":
                self._take_text(text)

    def add(self, minor: int) -> None:
        """Add an entry that moved the balance."""
        if minor >= 0:
            self.credits += 1
            self.credits_minor += minor
        else:
            self.debits += 1
            self.debits_minor -= minor

    def hold(self) -> None:
        """Raise `InvalidInput` when the statement lacks account or currency."""
        for column, tag in (("account", ":25:"), ("currency", ":60F: or :62F:")):
            if not self.values.get(column):
                raise self._refused(f"statement {self.ordinal} lacks {tag}.", self.line)

    def totals(self) -> Iterator[ControlTotal]:
        """Yield the statement's control totals."""
        yield balance_total(
            subject=self.subject,
            currency=self.currency,
            opening_minor=self._balance("opening"),
            movements_minor=self.credits_minor - self.debits_minor,
            closing_minor=self._balance("closing"),
        )
        if self.counts is None:
            return
        debits, credits, debited, credited = self.counts
        yield counted_total(
            name="summary_entries",
            subject=self.subject,
            expected=debits + credits,
            actual=self.debits + self.credits,
        )
        for name, text, actual in (
            ("summary_credits", credited, self.credits_minor),
            ("summary_debits", debited, self.debits_minor),
        ):
            yield summed_total(
                name=name,
                subject=self.subject,
                currency=self.currency,
                expected_minor=minor_of(text, self.currency),
                actual_minor=actual,
            )

    def _take_account(self, first: str, text: str) -> None:
        self.values["account"] = first
        self.values["account_iban"] = account_of(first)
        owner = text.partition("\n")[2].strip()
        if owner:
            self.extra["servicer"] = owner

    def _take_number(self, first: str, line: int) -> None:
        found = _NUMBER.fullmatch(first)
        if found is None:
            raise self._refused(f"statement {self.ordinal}: {first[:40]!r} in :28C: is no number and page.", line)
        # Zero numbers nothing.
        self.values["sequence"] = found[1] if int(found[1]) else ""
        self.values["page"] = found[2] if found[2] and int(found[2]) else ""

    def _take_balance(self, which: str, tag: str, first: str, line: int) -> None:
        found = _BALANCE.fullmatch(first)
        day = None if found is None else day_of(found[2])
        if found is None or day is None:
            raise self._refused(
                f"statement {self.ordinal}: {first[:40]!r} in :{tag}: is no balance (side, YYMMDD, currency, amount).",
                line,
            )
        side, _, currency, amount = found.groups()
        if not is_currency(currency):
            raise self._refused(f"statement {self.ordinal}: {currency!r} in :{tag}: is no ISO 4217 currency.", line)
        if self.currency and self.currency != currency:
            raise self._refused(
                f"statement {self.ordinal} opens in {self.currency} and closes in {currency} (:{tag}:).", line
            )
        self.values["currency"] = currency
        try:
            minor_of(amount, currency)
        except InvalidAmount as error:
            raise self._refused(f"statement {self.ordinal}: :{tag}: {error.message}", line) from error
        self.values |= {f"{which}_amount": amount, f"{which}_indicator": side, f"{which}_on": day}

    def _take_moment(self, first: str) -> None:
        if moment := moment_of(first):
            self.values["created_at"] = moment

    def _take_text(self, text: str) -> None:
        """Take a `:86:` after the balances; what counts the entries is a total."""
        said = " ".join(text.split())
        for pattern in _SUMS:
            if found := pattern.fullmatch(said):
                try:
                    for each in found.groups()[2:]:
                        minor_of(each, self.currency)
                except InvalidAmount:
                    continue
                self.counts = (int(found[1]), int(found[2]), found[3], found[4])
        self.extra["text"] = [*self._list("text"), said]

    def _list(self, name: str) -> list[object]:
        found = self.extra.get(name)
        return found if isinstance(found, list) else []

    def _balance(self, which: str) -> int | None:
        amount = self.values.get(f"{which}_amount")
        if amount is None:
            return None
        return SIDES[self.values[f"{which}_indicator"]] * minor_of(amount, self.currency)

    def _refused(self, problem: str, line: int) -> InvalidInput:
        return InvalidInput(
            problem,
            file=self.file,
            line=line,
            remedy="Ask the bank for the statement again; nothing of it was kept.",
        )


def minor_of(amount: str, currency: str) -> int:
    """Return the minor units of an amount with a comma, `1234,` and `0,5` among them. Raises `InvalidAmount`."""
    whole, _, decimals = amount.partition(",")
    digits = exponent(currency)
    if len(decimals) <= digits and (decimals.isdigit() or not decimals):
        # Nearly all; the rest has zeros beyond the minor unit, or is none.
        minor = int(whole + decimals.ljust(digits, "0"))
    else:
        minor = minor_from_decimal(amount.replace(",", ".", 1), currency)
    if minor > MAX_AMOUNT_MINOR:
        raise InvalidAmount(f"{amount[:40]!r} is more than {MAX_AMOUNT_MINOR} minor units.")
    return minor


def moment_of(text: str) -> str | None:
    """Return a moment written YYMMDDHHMM, with its zone or without, as ISO 8601 has it; None for what is none."""
    found = _MADE.fullmatch(text)
    day = None if found is None else day_of(found[1])
    if found is None or day is None or int(found[2]) > 23 or int(found[3]) > 59:
        return None
    zone = f"{found[4]}:{found[5]}" if found[4] else ""
    return f"{day}T{found[2]}:{found[3]}:00{zone}"
