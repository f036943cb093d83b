"""Money as whole minor units, and the only ways in and out of decimal text.

Not a currency converter: nothing here knows a rate. Invariant: no float ever touches an amount, and no digit
is ever rounded away. Exponents are those of ISO 4217 (list one); codes without a minor unit (gold, test
codes) are refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ledger_core.errors import InvalidAmount
from ledger_core.journal.text import shown

MAX_AMOUNT_MINOR = 2**63 - 1
"""The largest amount of one posting: a Postgres bigint."""

_AMOUNT = re.compile(r"[1-9][0-9]{0,18}")
_DECIMAL = re.compile(r"([+-]?)([0-9]{1,30})(?:\.([0-9]{0,30}))?")

_TWO_DIGITS = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF "
    "CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
    "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP "
    "MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD "
    "SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU "
    "UZS VED VES WST XCD XCG YER ZAR ZMW ZWG BOV CHE CHW COU MXV"
)
_NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DIGITS = "CLF UYW"
_EXPONENTS = {
    **dict.fromkeys(_TWO_DIGITS.split(), 2),
    **dict.fromkeys(_NO_DIGITS.split(), 0),
    **dict.fromkeys(_THREE_DIGITS.split(), 3),
    **dict.fromkeys(_FOUR_DIGITS.split(), 4),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in minor units of `currency`; may be negative (a balance), unlike a posting's amount."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        exponent(self.currency)

    def __str__(self) -> str:
        return f"{decimal_from_minor(self.amount_minor, self.currency)} {self.currency}"


def is_currency(code: str) -> bool:
    """Tell whether `code` is an ISO 4217 currency with a minor unit, in upper case."""
    return code in _EXPONENTS


def exponent(currency: str) -> int:
    """Return the number of decimal digits of `currency`.

    Raises `InvalidAmount` for a code that ISO 4217 lacks.
    """
    try:
        return _EXPONENTS[currency]
    except KeyError:
        raise InvalidAmount(
            f"{currency!r} is not an ISO 4217 currency code.",
            remedy="Use the three upper-case letters, such as USD.",
        ) from None


def parse_amount(text: object, *, pointer: str) -> int:
    """Return the minor units of a posting's amount: a string of digits, positive, at most 2^63-1.

    Raises `InvalidAmount` with `pointer`. A JSON number is refused on purpose: readers in other languages
    would turn it into a double.
    """
    if not isinstance(text, str):
        raise InvalidAmount(
            f"the amount must be a string of digits, not {_json_type(text)}.",
            pointer=pointer,
            remedy='Write minor units as a string, such as "12345".',
        )
    if _AMOUNT.fullmatch(text) is None or (amount := int(text)) > MAX_AMOUNT_MINOR:
        raise InvalidAmount(
            f"the amount {shown(text)} is not a positive whole number up to {MAX_AMOUNT_MINOR}.",
            pointer=pointer,
            remedy='Write digits only, without sign, exponent or leading zero, such as "12345".',
        )
    return amount


def minor_from_decimal(text: str, currency: str) -> int:
    """Return the signed minor units of decimal `text` in major units, exactly.

    Takes the lexical form of `xs:decimal` (which banks' files use): optional sign, digits, point. Raises
    `InvalidAmount` on anything else, and on digits below the minor unit that are not zero.
    """
    digits = exponent(currency)
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise InvalidAmount(f"{shown(text)} is not a decimal amount.", remedy="Write it as -1234.56.")
    sign, whole, fraction = match[1], match[2], match[3] or ""
    if fraction[digits:].strip("0"):
        raise InvalidAmount(f"{text} has digits below the minor unit of {currency} ({digits} decimals).")
    amount = int(whole + fraction[:digits].ljust(digits, "0"))
    return -amount if sign == "-" else amount


def decimal_from_minor(amount_minor: int, currency: str) -> str:
    """Return `amount_minor` as decimal text in major units with exactly the currency's decimals."""
    digits = exponent(currency)
    sign = "-" if amount_minor < 0 else ""
    text = str(abs(amount_minor)).rjust(digits + 1, "0")
    return f"{sign}{text[:-digits]}.{text[-digits:]}" if digits else f"{sign}{text}"


def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` minor units over `weights` without losing a unit (largest remainder, ties to the first).

    Weights are whole, not negative, and not all zero. Each share is within one unit of its exact value and
    has the sign of `total`. Raises `InvalidAmount` for weights that cannot carry a total.
    """
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        raise InvalidAmount("weights must not be negative and must not all be zero.")
    size = abs(total)
    shares = [size * weight // whole for weight in weights]
    remainders = sorted(range(len(weights)), key=lambda index: (-(size * weights[index] % whole), index))
    for index in remainders[: size - sum(shares)]:
        shares[index] += 1
    return [-share for share in shares] if total < 0 else shares


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    return "an array" if isinstance(value, list | tuple) else "an object"
