"""Write what PayPal reports: the Settlement Report of a day as CSV, which comes on the next.

Records and columns are those of version 9 of PayPal's specification. Amounts are hundredths of every currency, their
side beside them; times are those of California in winter. A report has one section, an account's day, with its sums and
balances by currency: the rows are written as they come and the footers at the end, when every day's sums are known.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from sample.business_days import day_of, stamp
from sample.currencies import PROFILES
from sample.deliveries import Deliveries, Report
from sample.model import Channel, Payout, PspItem, Request
from sample.providers import EVENT_CODES
from sample.reports.port import Chunk
from sample.reports.stripe import csv_line

NAME = "paypal"
SETTLEMENT = Report("STL", "paypal_stl", is_daily=True, comes_after_days=1, is_exclusive=True)
COLUMNS = (
    "Transaction ID",
    "Invoice ID",
    "PayPal Reference ID",
    "PayPal Reference ID Type",
    "Transaction Event Code",
    "Transaction Initiation Date",
    "Transaction Completion Date",
    "Transaction Debit or Credit",
    "Gross Transaction Amount",
    "Gross Transaction Currency",
    "Fee Debit or Credit",
    "Fee Amount",
    "Fee Currency",
    "Custom Field",
    "Consumer ID",
    "Payment Tracking ID",
    "Store ID",
    "Bank Reference ID",
    "Credit Transactional Fee",
    "Credit Promotional Fee",
    "Credit Term",
)

_ZONE, _ZONE_SECONDS = "-0800", -8 * 3_600
_VERSION = "9"


@dataclass(slots=True)
class _Day:
    """What a report of one account's day came to, by currency: gross and fees on either side, and how many rows."""

    sums: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    rows: int = 0

    def add(self, currency: str, gross: tuple[str, str], fee: tuple[str, str]) -> None:
        self.rows += 1
        for what, (side, amount) in (("gross", gross), ("fee", fee)):
            self.sums[currency][f"{what} {side}"] += int(amount or 0)

    def moved(self, currency: str) -> int:
        """Return by how many hundredths the balance moved."""
        sums = self.sums[currency]
        return sums["gross CR"] - sums["gross DR"] + sums["fee CR"] - sums["fee DR"]


class PayPalReports:
    """The settlement reports of each account."""

    def __init__(self, request: Request, deliveries: Deliveries) -> None:
        self._channels = [channel for channel in request.channels if channel.provider == NAME]
        self._deliveries = deliveries
        self._first_on = request.start
        self._days: dict[tuple[Channel, date], _Day] = {}

    def take_item(self, item: PspItem) -> Iterator[Chunk]:
        """Write a transaction into the report of the day on which it was completed."""
        code, _ = EVENT_CODES[item.category]
        own = item.source_id
        refers_to = item.charge_id if item.charge_id != own else ""
        gross, fee = _sided(item.gross_minor, item.currency), _sided(-item.fee_minor, item.currency)
        yield from self._append(
            item.channel,
            item.created,
            item.currency,
            (gross, fee),
            (own, item.order, refers_to, code, item.payment_intent_id if own == item.charge_id else "", ""),
        )

    def take_payout(self, payout: Payout) -> Iterator[Chunk]:
        """Write a withdrawal, with the number under which the bank knows it."""
        code, _ = EVENT_CODES["payout"]
        gross = _sided(-payout.net_minor, payout.currency)
        told = (payout.payout_id, "", "", code, "", payout.told)
        yield from self._append(payout.channel, payout.created, payout.currency, (gross, ("", "")), told)

    def close(self, as_of: date) -> Iterator[Chunk]:
        """End every report: a day's balances are what the days before left."""
        yield from self._quiet_days(as_of)
        balances: dict[tuple[Channel, str], int] = defaultdict(int)
        for (channel, on), day in sorted(self._days.items(), key=lambda each: (each[0][0].account, each[0][1])):
            lines = list(_footers(channel, day, balances))
            for name in self._deliveries.listing(SETTLEMENT, channel, on):
                yield name, "".join(map(csv_line, lines)).encode()

    def _quiet_days(self, as_of: date) -> Iterator[Chunk]:
        """Begin the reports of days on which nothing happened: one comes every day."""
        for channel in self._channels:
            for ordinal in range(self._first_on.toordinal(), as_of.toordinal() + 1):
                on = date.fromordinal(ordinal)
                if (channel, on) not in self._days:
                    self._days[channel, on] = _Day()
                    yield from self._open(channel, on)

    def _open(self, channel: Channel, on: date) -> Iterator[Chunk]:
        account = _account(channel)
        head = (
            ("RH", f"{on:%Y/%m/%d} 23:59:59 {_ZONE}", "A", account, _VERSION),
            ("FH", "1"),
            ("SH", f"{on:%Y/%m/%d} 00:00:00 {_ZONE}", f"{on:%Y/%m/%d} 23:59:59 {_ZONE}", account),
            ("CH", *COLUMNS),
        )
        for name in self._deliveries.listing(SETTLEMENT, channel, on):
            yield name, "".join(map(csv_line, head)).encode()

    def _append(
        self,
        channel: Channel,
        created: int,
        currency: str,
        amounts: tuple[tuple[str, str], tuple[str, str]],
        told: tuple[str, str, str, str, str, str],
    ) -> Iterator[Chunk]:
        on = day_of(created + _ZONE_SECONDS)
        if (channel, on) not in self._days:
            self._days[channel, on] = _Day()
            yield from self._open(channel, on)
        gross, fee = amounts
        self._days[channel, on].add(currency, gross, fee)
        own, invoice, refers_to, code, tracking, bank = told
        at = f"{stamp(created + _ZONE_SECONDS).replace('-', '/')} {_ZONE}"
        reference = (refers_to, "TXN" if refers_to else "")
        sides = (*gross, currency, *fee, currency if fee[1] else "")
        line = csv_line(("SB", own, invoice, *reference, code, at, at, *sides, "", "", tracking, "", bank, "", "", ""))
        for name in self._deliveries.listing(SETTLEMENT, channel, on):
            yield name, line.encode()


def _footers(channel: Channel, day: _Day, balances: dict[tuple[Channel, str], int]) -> Iterator[tuple[str, ...]]:
    """Return the records behind the rows of a day, and bring the balances up to its evening."""
    sums = []
    for currency in sorted(day.sums):
        opening = balances[channel, currency]
        closing = balances[channel, currency] = opening + day.moved(currency)
        found = day.sums[currency]
        names = ("gross CR", "gross DR", "fee CR", "fee DR")
        told = (str(found[name]) for name in names)
        sums.append((currency, *told, *_balance(opening), *_balance(closing), *_balance(0), *_balance(0)))
    yield from (("SF", *each) for each in sums)
    yield "SC", str(day.rows)
    yield from (("RF", *each) for each in sums)
    yield "RC", str(day.rows)
    yield "FF", str(day.rows)


def _balance(hundredths: int) -> tuple[str, str]:
    return ("DR" if hundredths < 0 else "CR", str(abs(hundredths)))


def _sided(amount_minor: int, currency: str) -> tuple[str, str]:
    """Return side and hundredths of an amount, signed as the balance moves; nothing of nothing."""
    if not amount_minor:
        return "", ""
    hundredths = abs(amount_minor) * 100 // 10 ** PROFILES[currency].exponent
    return "DR" if amount_minor < 0 else "CR", str(hundredths)


def _account(channel: Channel) -> str:
    return f"SAMPLE{channel.account.upper().replace('_', '') or 'COMPANY'}"
