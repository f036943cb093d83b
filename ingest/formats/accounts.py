"""Which account a `:25:` means, however a bank writes it: the IBAN where it can be told, else what stands there.

The same account comes by camt.053 as an IBAN, and by MT940 as bank code and number, with a currency at its end, or
behind a BIC. An IBAN proves itself by its check digits; nothing else is guessed.
"""

from __future__ import annotations

import re

from ledger_core.journal.money import is_currency

_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", re.ASCII)
_WRITTEN = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 "
    "FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 "
    "LU20 LV21 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 "
    "SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20"
)
_LENGTHS = {each[:2]: int(each[2:]) for each in _WRITTEN.split()}
"""Of an IBAN, by country (ISO 13616 registry): a currency after one passes its check digits once in 97 times."""
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
    """Tell whether `text` is an IBAN by its length and its check digits (ISO 13616)."""
    if _IBAN.fullmatch(text) is None or len(text) != _LENGTHS.get(text[:2], len(text)):
        return False
    return _rest(text[4:] + text[:4]) == 1


def iban_of(country: str, number: str) -> str:
    """Return the IBAN of a number of the `country`: its check digits are those that ISO 13616 reckons."""
    return f"{country}{98 - _rest(f'{number}{country}00'):02d}{number}"


def _rest(text: str) -> int:
    return int("".join(str(int(each, 36)) for each in text)) % 97
