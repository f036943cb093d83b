"""The four currencies the sample company sells in, and what a sale, a fee and an office cost in each.

Amounts are minor units. Invariant: no ordinary amount, not even booked under another currency's code, reaches
`keyless_floor`, so an entry without any id (see `company.py`) is alone with its amount.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyProfile:
    """What things cost in one currency."""

    code: str
    exponent: int
    """Decimal digits by ISO 4217; a test holds it against the ledger's table."""
    share: float
    prices: tuple[int, ...]
    """Price tags; many sales are of one of these, so equal amounts abound."""
    low: int
    high: int
    """Every other sale lies between these."""
    fee_per_million: int
    fee_fixed: int
    dispute_fee: int
    opening: int
    """What the bank account holds on the first day."""
    rent: int
    salary: int
    iban: str
    bank: str
    keyless_floor: int

    def fee(self, gross_minor: int) -> int:
        """Return the provider's fee on a sale, rounded half up."""
        return (gross_minor * self.fee_per_million + 500_000) // 1_000_000 + self.fee_fixed


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """A bank, the version of camt.053 it writes, and its way of numbering."""

    name: str
    bic: str
    version: str


BANKS = {
    "delta": Bank(name="Delta Bank AG", bic="DELTDEFFXXX", version="02"),
    "harbour": Bank(name="Harbour Bank", bic="HARBKWKWXXX", version="08"),
}

USD = CurrencyProfile(
    code="USD",
    exponent=2,
    share=0.52,
    prices=(999, 1900, 2499, 4900, 9900),
    low=500,
    high=25_000,
    fee_per_million=29_000,
    fee_fixed=30,
    dispute_fee=1_500,
    opening=40_000_000,
    rent=420_000,
    salary=310_000,
    iban="DE75512108001245126199",
    bank="delta",
    keyless_floor=200_000,
)
EUR = CurrencyProfile(
    code="EUR",
    exponent=2,
    share=0.28,
    prices=(899, 1800, 2399, 4500, 9500),
    low=450,
    high=22_000,
    fee_per_million=15_000,
    fee_fixed=25,
    dispute_fee=2_000,
    opening=35_000_000,
    rent=380_000,
    salary=290_000,
    iban="DE02100500000054540402",
    bank="delta",
    keyless_floor=200_000,
)
JPY = CurrencyProfile(
    code="JPY",
    exponent=0,
    share=0.12,
    prices=(980, 1_980, 2_980, 4_980, 12_800),
    low=500,
    high=36_000,
    fee_per_million=36_000,
    fee_fixed=0,
    dispute_fee=1_300,
    opening=60_000_000,
    rent=450_000,
    salary=340_000,
    iban="KW11HARB0000000000001234560101",
    bank="harbour",
    keyless_floor=200_000,
)
KWD = CurrencyProfile(
    code="KWD",
    exponent=3,
    share=0.08,
    prices=(3_500, 5_900, 7_750, 15_000, 29_900),
    low=2_000,
    high=80_000,
    fee_per_million=29_000,
    fee_fixed=100,
    dispute_fee=5_000,
    opening=120_000_000,
    rent=1_250_000,
    salary=930_000,
    iban="KW82HARB0000000000007654320202",
    bank="harbour",
    keyless_floor=200_000,
)


def iban_of(profile: CurrencyProfile, book: str) -> str:
    """Return the bank account in that currency of the legal entity whose ledger is `book`; no two share one.

    Its check digits are right (ISO 13616: the rearranged number modulo 97 is 1).
    """
    if book == "main":
        return profile.iban
    own = int.from_bytes(blake2b(book.encode(), digest_size=4).digest(), "big") % 10**8
    country, bban = profile.iban[:2], f"{profile.iban[4:-8]}{own:08}"
    number = int("".join(str(int(sign, 36)) for sign in f"{bban}{country}00"))
    return f"{country}{98 - number % 97:02}{bban}"


CURRENCIES = (USD, EUR, JPY, KWD)
PROFILES = {profile.code: profile for profile in CURRENCIES}


def major(amount_minor: int, exponent: int) -> str:
    """Write an amount in decimal major units with exactly the currency's digits: `-0.50`, `1200`, `3.500`."""
    if exponent == 0:
        return str(amount_minor)
    whole, part = divmod(abs(amount_minor), 10**exponent)
    return f"{'-' if amount_minor < 0 else ''}{whole}.{part:0{exponent}}"
