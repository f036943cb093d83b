"""What an amount looks like under each scale, and how many minor units it is; exact, or not an amount.

The pattern and the value are two forms of one rule: what the pattern takes, `minor_from_text` converts, and dbt's macro
`declared_units` converts to the same.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ingest.contract.vocabulary import Scale
from ledger_core.errors import InvalidAmount
from ledger_core.journal.money import exponent

MAX_AMOUNT_DIGITS = 15
"""Before the point: a quadrillion in major units, with room below 2^63 for three decimals."""
MAX_UNIT_DIGITS = MAX_AMOUNT_DIGITS + 3
"""Of an amount in whole minor units or hundredths: the same room."""

FORMS = {
    Scale.MAJOR_DECIMAL: f"a plain decimal amount of at most {MAX_AMOUNT_DIGITS} digits, such as -1234.56",
    Scale.SIX_DECIMALS: f"an amount of at most {MAX_AMOUNT_DIGITS} digits with six decimals, such as -1234.560000",
    Scale.API_MINOR: f"whole minor units of at most {MAX_UNIT_DIGITS} digits, such as -123456",
    Scale.X100_ALWAYS: f"whole hundredths of at most {MAX_UNIT_DIGITS} digits, such as -123456",
}
"""What an amount is, for people; one that stands beside its side has no sign."""


@lru_cache(maxsize=64)
def amount_pattern(scale: Scale, digits: int | None, *, signed: bool = True) -> re.Pattern[str]:
    """Return the pattern of an amount in a currency with `digits` decimals that count; None takes any number of them.

    Nothing at all is an amount too: an optional one that is not there.
    """
    sign = "-?" if signed else ""
    return re.compile(rf"(?:{sign}{_unsigned(scale, digits)})?", re.ASCII)


def minor_from_text(amount: str, *, scale: Scale, digits: int) -> int:
    """Return an amount as minor units, exactly. Raises `InvalidAmount` for what `amount_pattern` does not take."""
    if not amount or amount_pattern(scale, digits).fullmatch(amount) is None:
        raise InvalidAmount(f"{amount[:40]!r} is not {FORMS[scale]}.")
    whole, _, fraction = amount.partition(".")
    if scale is Scale.API_MINOR:
        return int(whole)
    if scale is Scale.X100_ALWAYS:
        # Whole by the pattern: a currency without decimals ends in two zeros.
        minor = abs(int(whole)) * 10**digits // 100
        return -minor if whole.startswith("-") else minor
    return int(whole + fraction[:digits].ljust(digits, "0"))


def digits_of(currency: str) -> int:
    """Return the decimals of a currency in either case."""
    return exponent(currency.upper())


def _unsigned(scale: Scale, digits: int | None) -> str:
    units = rf"\d{{1,{MAX_UNIT_DIGITS}}}"
    if scale is Scale.API_MINOR:
        return units
    if scale is Scale.X100_ALWAYS:
        spare = 0 if digits is None else max(0, 2 - digits)
        return rf"(?:\d{{1,{MAX_UNIT_DIGITS - spare}}}0{{{spare}}}|0)" if spare else units
    whole = rf"\d{{1,{MAX_AMOUNT_DIGITS}}}"
    if scale is Scale.SIX_DECIMALS:
        return rf"{whole}\.\d{{6}}" if digits is None else rf"{whole}\.\d{{{digits}}}0{{{6 - digits}}}"
    fraction = r"\d{1,12}" if digits is None else rf"\d{{1,{digits}}}0{{0,6}}" if digits else "0{1,6}"
    return rf"{whole}(?:\.{fraction})?"
