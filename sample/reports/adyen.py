"""Write what Adyen reports: the Settlement details report as CSV, a file a day on which a batch is paid out.

The 30 standard columns in Adyen's order (its documentation of the report). Amounts are unsigned decimal major units in
a debit and a credit column, fees stand as one blended commission, times are local with their zone's label beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from sample.business_days import stamp
from sample.currencies import PROFILES, major
from sample.deliveries import Deliveries, Report
from sample.model import Channel, Payout, PspItem, Request
from sample.providers import JOURNAL_TYPES, batch_number, merchant_account, transfer_text
from sample.reports.port import Chunk
from sample.reports.stripe import csv_line

NAME = "adyen"
SETTLEMENT = Report("settlement_detail_report", "adyen_settlement", is_daily=True)
COLUMNS = (
    "Company Account",
    "Merchant Account",
    "Psp Reference",
    "Merchant Reference",
    "Payment Method",
    "Creation Date",
    "TimeZone",
    "Type",
    "Modification Reference",
    "Gross Currency",
    "Gross Debit (GC)",
    "Gross Credit (GC)",
    "Exchange Rate",
    "Net Currency",
    "Net Debit (NC)",
    "Net Credit (NC)",
    "Commission (NC)",
    "Markup (NC)",
    "Scheme Fees (NC)",
    "Interchange (NC)",
    "Payment Method Variant",
    "Modification Merchant Reference",
    "Batch Number",
    *(f"Reserved{number}" for number in range(4, 11)),
)

_ZONE, _ZONE_SECONDS = "CET", 3_600
_METHODS = (("visa", "visadebit"), ("mc", "mccredit"), ("visa", "visacredit"), ("amex", "amex"))


class AdyenReports:
    """The settlement report of each merchant account."""

    def __init__(self, request: Request, deliveries: Deliveries) -> None:
        self._channels = [channel for channel in request.channels if channel.provider == NAME]
        self._deliveries = deliveries
        self._begun: set[str] = set()
        self._listed: set[Channel] = set()

    def take_item(self, item: PspItem) -> Iterator[Chunk]:
        """Write a line of the batch."""
        yield from self._append(item.channel, item.made_on, item_line(item))

    def take_payout(self, payout: Payout) -> Iterator[Chunk]:
        """Write the batch's payout."""
        yield from self._append(payout.channel, payout.made_on, payout_line(payout))

    def close(self, as_of: date) -> Iterator[Chunk]:
        """Write the header alone for an account without a batch."""
        for channel in self._channels:
            if channel not in self._listed:
                for name in self._deliveries.of_nothing(SETTLEMENT, channel, as_of):
                    yield name, csv_line(COLUMNS).encode()

    def _append(self, channel: Channel, made_on: date, line: str) -> Iterator[Chunk]:
        self._listed.add(channel)
        for name in self._deliveries.listing(SETTLEMENT, channel, made_on):
            if name not in self._begun:
                self._begun.add(name)
                yield name, csv_line(COLUMNS).encode()
            yield name, line.encode()


def item_line(item: PspItem) -> str:
    """Write a line of the report; a fee that names no payment has a text and a net alone."""
    method, variant = _METHODS[item.variant % len(_METHODS)] if item.charge_id else ("", "")
    gross = _sides(item.gross_minor, item.currency) if item.charge_id else ("", "")
    return csv_line(
        (
            "SampleCompany",
            merchant_account(item.channel),
            item.charge_id,
            item.order,
            method,
            stamp(item.created + _ZONE_SECONDS),
            _ZONE,
            JOURNAL_TYPES[item.category],
            item.source_id or item.description,
            item.currency if item.charge_id else "",
            *gross,
            "1" if item.charge_id else "",
            item.currency,
            *_sides(item.net_minor, item.currency),
            major(item.fee_minor, PROFILES[item.currency].exponent) if item.fee_minor else "",
            "",
            "",
            "",
            variant,
            "",
            str(batch_number(item.made_on)),
            *("",) * 7,
        )
    )


def payout_line(payout: Payout) -> str:
    """Write the line by which a batch is paid out."""
    return csv_line(
        (
            "SampleCompany",
            merchant_account(payout.channel),
            "",
            "",
            "",
            stamp(payout.created + _ZONE_SECONDS),
            _ZONE,
            "MerchantPayout",
            transfer_text(payout.channel, payout.made_on, payout.told),
            "",
            "",
            "",
            "",
            payout.currency,
            *_sides(-payout.net_minor, payout.currency),
            *("",) * 6,
            str(batch_number(payout.made_on)),
            *("",) * 7,
        )
    )


def _sides(amount_minor: int, currency: str) -> tuple[str, str]:
    """Return debit and credit of an amount, signed as the balance moves."""
    amount = major(abs(amount_minor), PROFILES[currency].exponent)
    return (amount, "") if amount_minor < 0 else ("", amount)
