"""File, group and account while they are being read: what their headers say, and what their trailers prove.

Every trailer states a sum and how many records it ends. A sum is that of all amounts as they stand there, debits
without a sign: it proves that nothing was lost on the way, and says nothing of the balance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ingest.contract.rows import ControlTotal
from ingest.contract.totals import balance_total, counted_total, summed_total
from ingest.formats.accounts import account_of
from ingest.formats.bai2.details import AMOUNT, Summary, moment_of, summaries_of
from ingest.formats.bai2.records import Record
from ingest.formats.days import day_of
from ledger_core.errors import InvalidInput
from ledger_core.journal.money import MAX_AMOUNT_MINOR, is_currency

OPENING, CLOSING, CREDITS, DEBITS = "010", "015", "100", "400"
"""Type codes of the ledger balances and of all credits and debits of the day."""
DEFAULT_CURRENCY = "USD"

_REFUSED = {
    "2": (
        "deletes what was sent before (group status 2), which nothing here takes out on a file's word.",
        "Ask the bank for a correction (group status 3) of these days: it replaces what was sent.",
    ),
    "4": (
        "is for testing only (group status 4).",
        "Have the bank send what has happened: an update (group status 1).",
    ),
}
_INTRADAY = "3"
_STATUSES = frozenset({"", "1", "3"})


@dataclass(slots=True, kw_only=True)
class Level:
    """What a header begins and a trailer ends: the records in between, and what they come to."""

    line: int
    records: int = 0
    amount: int = 0
    parts: int = 0

    def trailer(self, record: Record, *, file: str, parted: bool) -> tuple[int, int | None, int]:
        """Return total, number of parts and number of records that a trailer states. Raises `InvalidInput`."""
        values = [each.strip() for each in record.fields()]
        values[0] = values[0] or "0"
        wanted = 3 if parted else 2
        if len(values) < wanted or any(AMOUNT.fullmatch(each) is None for each in values[:wanted]):
            raise refused(
                f"the trailer {record.written()[:60]!r} states no total and no number of records.", file, record
            )
        stated = [int(each) for each in values[:wanted]]
        return stated[0], stated[1] if parted else None, stated[-1]

    def proved(
        self, names: tuple[str, str, str], subject: str, stated: tuple[int, int | None, int]
    ) -> Iterator[ControlTotal]:
        """Yield the totals of sum, parts and records, as `stated` and as they were found."""
        total, parts, records = stated
        yield counted_total(name=names[0], subject=subject, expected=total, actual=self.amount)
        if parts is not None:
            yield counted_total(name=names[1], subject=subject, expected=parts, actual=self.parts)
        yield counted_total(name=names[2], subject=subject, expected=records, actual=self.records)


@dataclass(slots=True, kw_only=True)
class FileLevel(Level):
    """A file: 01 to 99."""

    sender: str
    receiver: str
    number: str
    created_at: str


@dataclass(slots=True, kw_only=True)
class Group(Level):
    """A group: 02 to 98, the accounts of one originator on one day."""

    receiver: str
    originator: str
    status: str
    as_of_on: str
    as_of_time: str
    currency: str
    modifier: str


@dataclass(slots=True, kw_only=True)
class Account(Level):
    """An account of a group: 03 to 49."""

    ordinal: int
    account: str
    currency: str
    statement_id: str
    summaries: list[Summary]
    entries: int = 0
    """Details, those that are put aside included."""
    credits: int = 0
    credits_minor: int = 0
    debits: int = 0
    debits_minor: int = 0

    @property
    def subject(self) -> str:
        return f"{self.ordinal}:{self.account}"

    def stated(self, type_code: str) -> str:
        """Return the amount that the bank states for a type code, nothing where it states none."""
        return next((each.amount for each in self.summaries if each.type_code == type_code), "")

    def move(self, minor: int) -> None:
        """Add a detail that moved the balance."""
        if minor >= 0:
            self.credits += 1
            self.credits_minor += minor
        else:
            self.debits += 1
            self.debits_minor -= minor

    def totals(self) -> Iterator[ControlTotal]:
        """Yield what the balances and the bank's own sums prove."""
        opening, closing = (self.stated(code) for code in (OPENING, CLOSING))
        yield balance_total(
            subject=self.subject,
            currency=self.currency,
            opening_minor=int(opening) if opening else None,
            movements_minor=self.credits_minor - self.debits_minor,
            closing_minor=int(closing) if closing else None,
        )
        for name, code, items, minor in (
            ("summary_credits", CREDITS, self.credits, self.credits_minor),
            ("summary_debits", DEBITS, self.debits, self.debits_minor),
        ):
            said = next((each for each in self.summaries if each.type_code == code), None)
            if said is None:
                continue
            if said.amount:
                yield summed_total(
                    name=name,
                    subject=self.subject,
                    currency=self.currency,
                    expected_minor=abs(int(said.amount)),
                    actual_minor=minor,
                )
            if said.items:
                yield counted_total(name=f"{name}_items", subject=self.subject, expected=int(said.items), actual=items)


def file_of(record: Record, *, file: str) -> FileLevel:
    """Return what a 01 says. Raises `InvalidInput` for another version or a file without its day."""
    sender, receiver, day, time, number, *_, version = _fields(record, 8)
    if version not in ("2", ""):
        raise refused(
            f"the file is of version {version[:20]!r}; read is version 2.",
            file,
            record,
            remedy="Have the bank send BAI2.",
        )
    created_at = moment_of(day, time)
    if not created_at:
        raise refused(f"{day[:20]!r} is no day on which a file was made (YYMMDD).", file, record)
    return FileLevel(line=record.line, sender=sender, receiver=receiver, number=number, created_at=created_at)


def group_of(record: Record, *, file: str) -> Group:
    """Return what a 02 says. Raises `InvalidInput` for a group that must not count."""
    receiver, originator, status, day, time, currency, modifier = _fields(record, 7)
    if status in _REFUSED:
        problem, remedy = _REFUSED[status]
        raise refused(f"the group {problem} Nothing of the file was kept.", file, record, remedy=remedy)
    if status not in _STATUSES:
        raise refused(f"{status[:20]!r} is no group status (1 update, 3 correction).", file, record)
    if modifier == _INTRADAY:
        raise refused(
            "the group is of the day that is not over (as-of-date modifier 3), which is not final.",
            file,
            record,
            remedy="Fetch the report of the previous day.",
        )
    as_of_on = day_of(day)
    if as_of_on is None:
        raise refused(f"{day[:20]!r} is no day that a group is of (YYMMDD).", file, record)
    _check_currency(currency, file, record)
    return Group(
        line=record.line,
        receiver=receiver,
        originator=originator,
        status=status,
        as_of_on=as_of_on,
        as_of_time=time,
        currency=currency or DEFAULT_CURRENCY,
        modifier=modifier,
    )


def account_level(record: Record, group: Group, *, ordinal: int, file: str) -> Account:
    """Return what a 03 says. Raises `InvalidInput` for one that names no account or whose summaries are none."""
    account, currency, *rest = [*(each.strip() for each in record.fields()), ""]
    if not account:
        raise refused("the record 03 names no account.", file, record)
    _check_currency(currency, file, record)
    summaries = summaries_of(rest)
    if isinstance(summaries, str):
        raise refused(f"account {account[:40]}: {summaries}.", file, record)
    return Account(
        line=record.line,
        ordinal=ordinal,
        account=account,
        currency=currency or group.currency,
        statement_id=group.originator or "BAI2",
        summaries=summaries,
        amount=sum(int(each.amount) for each in summaries if each.amount),
    )


def statement_values(file: FileLevel, group: Group, account: Account) -> dict[str, str]:
    """Return the columns of a statement."""
    return {
        "statement_id": account.statement_id,
        "account": account.account,
        "account_iban": account_of(account.account),
        "currency": account.currency,
        "as_of_on": group.as_of_on,
        "as_of_time": group.as_of_time,
        "as_of_modifier": group.modifier,
        "group_status": group.status,
        "sender": file.sender,
        "receiver": group.receiver or file.receiver,
        "originator": group.originator,
        "file_number": file.number,
        "created_at": file.created_at,
        "opening_amount": account.stated(OPENING),
        "closing_amount": account.stated(CLOSING),
    }


def refused(problem: str, file: str, record: Record, *, remedy: str | None = None) -> InvalidInput:
    """Return the refusal of a file for what a record of it says."""
    return InvalidInput(
        problem,
        file=file,
        line=record.line,
        remedy=remedy or "Ask the bank for the file again; nothing of it was kept.",
    )


def _fields(record: Record, count: int) -> list[str]:
    values = [each.strip() for each in record.fields()]
    return [*values, *[""] * (count - len(values))][:count]


def _check_currency(currency: str, file: str, record: Record) -> None:
    if currency and not is_currency(currency):
        raise refused(f"{currency[:20]!r} is no ISO 4217 currency.", file, record)


def too_large(minor: int) -> bool:
    """Tell whether an amount is more than a posting holds."""
    return minor > MAX_AMOUNT_MINOR
