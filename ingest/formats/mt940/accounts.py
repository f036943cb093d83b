"""Which account a `:25:` means, however a bank writes it: the IBAN where it can be told, else what stands there.

The same account comes by camt.053 as an IBAN, and by MT940 as bank code and number, with a currency at its end, or
behind a BIC. An IBAN proves itself by its check digits; nothing else is guessed.
"""

from __future__ import annotations

import re

from ledger_core.journal.money import is_currency

_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", re.ASCII)
_GERMAN = re.compile(r"(\d{8})/(\d{1,10})", re.ASCII)
_POLISH = re.compile(r"\d{26}", re.ASCII)


def account_of(text: str) -> str:
    """Return the account that `text` means, in capitals and without blanks."""
    written = "".join(text.split()).upper()
    plain = written[:-3] if len(written) > 6 and is_currency(written[-3:]) else written
    plain = plain.strip("/")
    for each in (written, plain, *reversed(plain.split("/"))):
        if is_iban(each):
            return each
    if german := _GERMAN.fullmatch(plain):
        return iban_of("DE", f"{german[1]}{german[2]:0>10}")
    if _POLISH.fullmatch(plain) and is_iban(f"PL{plain}"):
        return f"PL{plain}"
    return plain


def is_iban(text: str) -> bool:
    """Tell whether `text` is an IBAN by its check digits (ISO 13616)."""
    return _IBAN.fullmatch(text) is not None and _rest(text[4:] + text[:4]) == 1


def iban_of(country: str, number: str) -> str:
    """Return the IBAN of a number of the `country`: its check digits are those that ISO 13616 reckons."""
    return f"{country}{98 - _rest(f'{number}{country}00'):02d}{number}"


def _rest(text: str) -> int:
    return int("".join(str(int(each, 36)) for each in text)) % 97
