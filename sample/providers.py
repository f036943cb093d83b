"""The providers through which the sample company sells: how each names things, and what its bank lines say.

Nothing here is written into a report; that is done by a module for each format. Invariant: no two things of a provider
have one id, and each id has the form that the provider's own have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sample.business_days import payout_day
from sample.currencies import CURRENCIES, EUR, JPY, USD, CurrencyProfile
from sample.dice import Mint
from sample.model import Channel, Payout


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a row of a report says of itself, where it is known by that."""

    channel: Channel
    category: str
    currency: str
    created: int
    charge_id: str
    own_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider that names things as Stripe does: each balance transaction and each payout has an id of its own."""

    name: str
    word: str
    """What its bank lines call it."""
    payers: Mapping[str, str]
    """Who pays out in each currency."""
    order_letter: str
    currencies: tuple[CurrencyProfile, ...] = CURRENCIES
    numbers_transactions: bool = True
    """Whether it gives each balance transaction an id that a company would book by."""
    lists_by_arrival: bool = True
    """Whether its reports list what arrives in their period, or what was paid out in it."""

    def order(self, account: str, number: int) -> str:
        """Number an order of an account; no two of the company are alike."""
        return "-".join(part for part in (self.order_letter, account.removeprefix("acct_"), str(number)) if part)

    def id(self, mint: Mint, kind: str) -> str:
        """Make an id of a kind, as Stripe calls them: `ch`, `pi`, `re`, `du`, `txn`."""
        return mint.id(kind)

    def payment(self, mint: Mint, _charge_id: str) -> str:
        """Return the id by which the payment of a charge is known."""
        return self.id(mint, "pi")

    def capture(self, _mint: Mint, charge_id: str) -> str:
        """Return the id of what a charge comes of."""
        return charge_id

    def transaction(self, mint: Mint) -> str:
        """Return the id of a balance transaction; nothing where it is known by what it says."""
        return self.id(mint, "txn") if self.numbers_transactions else ""

    def row(self, _row: Row) -> str:
        """Return how a row of the report is known whose transaction has no id."""
        raise NotImplementedError

    def fee(self, _mint: Mint, text: str) -> tuple[str, str]:
        """Return the id of a fee that names no payment, where it has one, and what the report says of it."""
        return "", text

    def payout_id(self, mint: Mint, _channel: Channel, _made_on: date, _currency: str) -> str:
        """Return how a payout is known."""
        return self.id(mint, "po")

    def told(self, _mint: Mint, payout_id: str) -> str:
        """Return what a bank line says of a payout."""
        return payout_id

    def payout_transaction(self, mint: Mint, _channel: Channel, _made_on: date, _told: str, _payout_id: str) -> str:
        """Return how the payout's own row is known."""
        return self.id(mint, "txn")

    def payout_names(self, payout: Payout) -> tuple[str, str]:
        """Return by what a company books a payout, most often and at times."""
        return payout.payout_id, payout.txn_id

    def narrative(self, payout: Payout, *, names_it: bool) -> str:
        """Return what a payout's bank line says, its reference in it or elsewhere."""
        return f"{self.word} PAYOUT {payout.told if names_it else payout.arrives_on.isoformat()}"


class _Adyen(Provider):
    """A provider whose report numbers nothing: a row is known by what it says, a payout by its batch."""

    __slots__ = ()

    def id(self, mint: Mint, _kind: str) -> str:
        """Make a reference: 16 letters and digits."""
        return mint.token()[:16].upper()

    def payment(self, _mint: Mint, charge_id: str) -> str:
        return charge_id

    def capture(self, mint: Mint, _charge_id: str) -> str:
        return self.id(mint, "capture")

    def row(self, row: Row) -> str:
        batch = str(batch_number(payout_day(row.created)))
        parts = (merchant_account(row.channel), batch, JOURNAL_TYPES[row.category], row.charge_id, row.own_id)
        return ":".join(parts)

    def fee(self, mint: Mint, text: str) -> tuple[str, str]:
        return "", f"{text} {mint.number():010}"

    def payout_id(self, _mint: Mint, channel: Channel, made_on: date, currency: str) -> str:
        return f"{merchant_account(channel)}:{batch_number(made_on)}:{currency}"

    def told(self, mint: Mint, _payout_id: str) -> str:
        return f"TX{mint.number():010}XT"

    def payout_transaction(self, _mint: Mint, channel: Channel, made_on: date, told: str, _payout_id: str) -> str:
        merchant = merchant_account(channel)
        return f"{merchant}:{batch_number(made_on)}:MerchantPayout::{transfer_text(channel, made_on, told)}"

    def payout_names(self, payout: Payout) -> tuple[str, str]:
        return payout.told, payout.payout_id

    def narrative(self, payout: Payout, *, names_it: bool) -> str:
        if not names_it:
            return "ADYEN SETTLEMENT"
        return transfer_text(payout.channel, payout.made_on, payout.told)


class _PayPal(Provider):
    """A provider that pays out when it is asked: a row is known by transaction, event code, side and currency."""

    __slots__ = ()

    def id(self, mint: Mint, _kind: str) -> str:
        """Make a transaction id: 17 letters and digits."""
        return mint.token()[:17].upper()

    def row(self, row: Row) -> str:
        return ":".join((row.own_id, *EVENT_CODES[row.category], row.currency))

    def fee(self, mint: Mint, text: str) -> tuple[str, str]:
        return self.id(mint, "fee"), text

    def told(self, mint: Mint, _payout_id: str) -> str:
        return f"104{mint.number():010}"

    def payout_transaction(self, _mint: Mint, _channel: Channel, _made_on: date, _told: str, payout_id: str) -> str:
        return ":".join((payout_id, *EVENT_CODES["payout"]))

    def payout_names(self, payout: Payout) -> tuple[str, str]:
        return payout.payout_id, payout.told


EVENT_CODES = {
    "charge": ("T0006", "CR"),
    "refund": ("T1107", "DR"),
    "dispute": ("T1201", "DR"),
    "dispute_reversal": ("T1202", "CR"),
    "fee": ("T0100", "DR"),
    "payout": ("T0400", "DR"),
}
"""What PayPal calls what Stripe calls so, and on which side it stands."""
JOURNAL_TYPES = {
    "charge": "Settled",
    "refund": "Refunded",
    "dispute": "Chargeback",
    "dispute_reversal": "ChargebackReversed",
    "fee": "Fee",
}
"""What Adyen calls what Stripe calls so."""

_FIRST_BATCH_ON = date(1970, 1, 1)


def merchant_account(channel: Channel) -> str:
    """Return what Adyen calls the company's account."""
    return f"SampleCompany{channel.account.removeprefix('acct_')}"


def batch_number(made_on: date) -> int:
    """Return the number of the batch that is paid out on a day."""
    return (made_on - _FIRST_BATCH_ON).days


def transfer_text(channel: Channel, made_on: date, told: str) -> str:
    """Return how Adyen names the transfer of a batch, in its report and to the bank."""
    return f"{told} batch {batch_number(made_on)}, {merchant_account(channel)}"


STRIPE = Provider(
    name="stripe",
    word="STRIPE",
    payers={
        "USD": "STRIPE PAYMENTS COMPANY",
        "EUR": "STRIPE TECHNOLOGY EUROPE LTD",
        "JPY": "STRIPE JAPAN KK",
        "KWD": "STRIPE PAYMENTS INTL",
    },
    order_letter="o",
)
ADYEN = _Adyen(
    name="adyen",
    word="ADYEN",
    payers=dict.fromkeys((profile.code for profile in CURRENCIES), "ADYEN N.V."),
    order_letter="a",
    numbers_transactions=False,
    lists_by_arrival=False,
)

PAYPAL = _PayPal(
    name="paypal",
    word="PAYPAL",
    payers=dict.fromkeys((profile.code for profile in CURRENCIES), "PayPal Europe S.a.r.l."),
    order_letter="p",
    # It holds no Kuwaiti dinars.
    currencies=(USD, EUR, JPY),
    numbers_transactions=False,
    lists_by_arrival=False,
)

PROVIDERS = {provider.name: provider for provider in (STRIPE, ADYEN, PAYPAL)}
