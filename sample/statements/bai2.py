"""Write what a bank states as BAI2 (Cash Management Balance Reporting, version 2): all accounts of a day in one file.

Source: the Bank Administration Institute's specification of 1987, as ANSI X9.121 keeps it: records 01, 02, 03, 16, 88,
49, 98, 99, amounts without a decimal point in the currency's smallest unit, control totals and numbers of records on
each level. A file of the previous day: nothing that is only announced stands there, and each transaction is a record.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from sample.currencies import BANKS, PROFILES, Bank, iban_of
from sample.model import BankLine, BankTransaction, Statement
from sample.statements.making import Making, spoilt

SOURCE, SUFFIX = "bai2", ".bai"

_RECEIVER = "COUNTERFOIL"
_OPENING, _CLOSING = "010", "015"
_TYPES = {"SALA": "495", "DBIT": "495", "CRDT": "195"}
"""Outgoing and incoming transfers."""
_MEANT = re.compile(r"[,/]")


def render(bank_code: str, statements: Sequence[Statement], making: Making) -> str:
    """Write one bank's statements of one day: a group a currency, since a group has one."""
    bank, on = BANKS[bank_code], statements[0].on
    told = list(spoilt(statements)) if making.version == "wrong" else statements
    made_at = re.sub(r"\D", "", making.made_at(on))[2:12]
    number = f"{on:%j}{'2' if making.version in ('corrected', 'again') else '1'}"
    groups = [_group(bank, statement, making) for statement in told]
    total = sum(amount for _, amount in groups)
    records = sum(len(lines) for lines, _ in groups) + 2
    lines = [f"01,{bank.bic},{_RECEIVER},{made_at[:6]},{made_at[6:]},{number},,,2/"]
    for group, _ in groups:
        lines.extend(group)
    lines.append(f"99,{total},{len(groups)},{records}/")
    return "".join(line + "\r\n" for line in lines)


def _group(bank: Bank, statement: Statement, making: Making) -> tuple[list[str], int]:
    """Return the records of one account's group, and its control total."""
    profile = PROFILES[statement.currency]
    account = iban_of(profile, making.request.book)
    balances = f"{_OPENING},{statement.opening_minor},,,{_CLOSING},{statement.closing_minor},,"
    rows = [f"03,{account},{profile.code},{balances}/"]
    booked = [(line, part) for line in statement.lines if line.booked for part in line.transactions]
    for line, part in booked:
        rows.extend(_transaction(line, part))
    total = statement.opening_minor + statement.closing_minor + sum(part.amount_minor for _, part in booked)
    rows.append(f"49,{total},{len(rows) + 1}/")
    head = f"02,{_RECEIVER},{bank.bic},1,{statement.on:%y%m%d},,{profile.code},2/"
    return [head, *rows, f"98,{total},1,{len(rows) + 2}/"], total


def _transaction(line: BankLine, part: BankTransaction) -> Iterator[str]:
    kind = _TYPES.get(line.code) or _TYPES[line.indicator]
    reference, text = _spelt(part.end_to_end_id), _spelt(part.counterparty)
    yield f"16,{kind},{part.amount_minor},Z,{part.servicer_reference},{reference},{text}"
    yield f"88,{_spelt(part.narrative)}"


def _spelt(text: str) -> str:
    """Write a text in ASCII, without what ends a field or a record."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _MEANT.sub(" ", plain)
