"""Write what a bank states as SWIFT MT 940: one message an account, all of a day in one file.

Source: SWIFT's category 9 standard (tags 20, 25, 28C, 60F, 61, 86, 62F) and the sub-fields `?00` to `?63` of tag 86 as
the German banks write them. A message has neither batches with details nor entries that are only announced: each
transaction is a line, and what is not booked does not stand there. Letters outside SWIFT's character set are respelt.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from sample.business_days import is_business_day
from sample.currencies import BANKS, PROFILES, Bank, CurrencyProfile, iban_of, major
from sample.model import BankLine, BankTransaction, Statement
from sample.statements.making import Making, numbered, spoilt

SOURCE, SUFFIX = "mt940", ".sta"

_WIDTH = 27
"""Letters of a sub-field of tag 86."""
_LINE = 65
"""Letters of a line of tag 86."""
_FOREIGN = re.compile(r"[^A-Za-z0-9/\-?:().,'+ ]")
_CODES = {"SALA": ("NSAL", "153"), "DBIT": ("NTRF", "177"), "CRDT": ("NTRF", "166")}
"""Type of a transaction in tag 61, and its German code in tag 86."""


def render(bank_code: str, statements: Sequence[Statement], making: Making) -> str:
    """Write one bank's statements of one day."""
    bank = BANKS[bank_code]
    told = spoilt(statements) if making.version == "wrong" else statements
    return "".join(line + "\r\n" for statement in told for line in _message(bank, statement, making))


def _message(bank: Bank, statement: Statement, making: Making) -> Iterator[str]:
    profile, on = PROFILES[statement.currency], statement.on
    number, _ = numbered(bank, statement, making)
    made_at = re.sub(r"\D", "", making.made_at(on))[2:12]
    yield f"{{1:F01{bank.bic}X0000000000}}{{2:O940{made_at[6:]}{made_at[:6]}{bank.bic}X0000000000{made_at}N}}{{4:"
    yield f":20:{bank.bic[:4]}{on:%y%m%d}{profile.code}{'D' if making.version == 'again' else ''}"
    yield f":25:{iban_of(profile, making.request.book)}"
    yield f":28C:{number or 0}/1"
    yield f":60F:{_balance(profile, statement.opening_minor, _day_before(on))}"
    for line in statement.lines:
        if line.booked:
            for part in line.transactions:
                yield from _transaction(profile, on, line, part)
    yield f":62F:{_balance(profile, statement.closing_minor, on)}"
    yield f":64:{_balance(profile, statement.closing_minor, on)}"
    yield "-}"


def _transaction(profile: CurrencyProfile, on: date, line: BankLine, part: BankTransaction) -> Iterator[str]:
    side = "C" if line.indicator == "CRDT" else "D"
    kind, code = _CODES.get(line.code) or _CODES[line.indicator]
    amount = _amount(profile, part.amount_minor)
    yield f":61:{on:%y%m%d%m%d}{side}{amount}{kind}NONREF//{part.servicer_reference}"
    text = "".join(_fields(code, part))
    yield from (f"{':86:' if not start else ''}{text[start : start + _LINE]}" for start in range(0, len(text), _LINE))


def _fields(code: str, part: BankTransaction) -> Iterator[str]:
    """Yield the sub-fields of tag 86: what it is, its texts, who it is from or for."""
    yield f"{code}?00{'GUTSCHRIFT' if code == '166' else 'LASTSCHRIFT'}"
    reference = _spelt(part.end_to_end_id) or "NOTPROVIDED"
    texts = [*_cut(f"EREF+{reference}"), *_cut(f"SVWZ+{_spelt(part.narrative)}")]
    yield from (f"?{20 + place}{text}" for place, text in enumerate(texts))
    yield from (f"?{32 + place}{text}" for place, text in enumerate(_cut(_spelt(part.counterparty))[:2]))


def _cut(text: str) -> list[str]:
    return [text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH)]


def _spelt(text: str) -> str:
    """Write a text in SWIFT's letters; a question mark would begin a sub-field."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _FOREIGN.sub(".", plain.replace("_", "-").replace("&", "+")).replace("?", ".")


def _balance(profile: CurrencyProfile, amount_minor: int, on: date) -> str:
    side = "D" if amount_minor < 0 else "C"
    return f"{side}{on:%y%m%d}{profile.code}{_amount(profile, abs(amount_minor))}"


def _amount(profile: CurrencyProfile, amount_minor: int) -> str:
    whole, _, digits = major(amount_minor, profile.exponent).partition(".")
    return f"{whole},{digits}"


def _day_before(on: date) -> date:
    """Return the business day whose closing balance opens this one."""
    day = on - timedelta(days=1)
    while not is_business_day(day):
        day -= timedelta(days=1)
    return day
