"""Write what the provider reports: Stripe's `payout_reconciliation.itemized.5` and `payouts.itemized.3` as CSV.

Columns and their order are Stripe's own (report type pages; Mozilla bigquery-etl's schema of the former). Amounts are
decimal major units with the currency's digits, currencies come in both cases, names and addresses stay empty.
`effective_at` of an automatic payout is the day it is expected to arrive, and a report lists what is effective in its
interval.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date

from sample.business_days import REPORT_ZONE_SECONDS, midnight, stamp
from sample.currencies import PROFILES, major
from sample.deliveries import Deliveries, Report
from sample.model import Channel, Payout, PspItem, Request
from sample.reports.port import Chunk

NAME = "stripe"
ITEMS = Report("payout_reconciliation", "stripe_report")
PAYOUTS = Report("payouts", "stripe_report")

_ADDRESS = ("line1", "line2", "city", "state", "postal_code", "country")
_ADDRESSES = ("customer_shipping_address", "customer_address", "shipping_address", "card_address")

ITEM_COLUMNS = (
    "automatic_payout_id",
    "automatic_payout_effective_at_utc",
    "automatic_payout_effective_at",
    "balance_transaction_id",
    "created_utc",
    "created",
    "available_on_utc",
    "available_on",
    "currency",
    "gross",
    "fee",
    "net",
    "reporting_category",
    "source_id",
    "description",
    "customer_facing_amount",
    "customer_facing_currency",
    "regulatory_tag",
    "customer_id",
    "customer_email",
    "customer_name",
    "customer_description",
    *(f"{prefix}_{part}" for prefix in _ADDRESSES for part in _ADDRESS),
    "charge_id",
    "payment_intent_id",
    "charge_created_utc",
    "charge_created",
    "invoice_id",
    "invoice_number",
    "subscription_id",
    "order_id",
    "payment_method_type",
    "is_link",
    "card_brand",
    "card_funding",
    "card_country",
    "statement_descriptor",
    "dispute_reason",
    "connected_account_id",
    "connected_account_name",
    "connected_account_country",
    "connected_account_direct_charge_id",
    "destination_payment_id",
    "payment_metadata[order_id]",
    "payment_metadata[channel]",
    "refund_metadata[reason]",
    "trace_id",
    "trace_id_status",
)

PAYOUT_COLUMNS = (
    "payout_id",
    "effective_at_utc",
    "effective_at",
    "currency",
    "balance_transaction_id",
    "gross",
    "fee",
    "net",
    "reporting_category",
    "description",
    "payout_expected_arrival_date",
    "payout_status",
    "payout_reversed_at",
    "payout_type",
    "payout_description",
    "payout_destination_id",
)

_PLACE = {name: place for place, name in enumerate(ITEM_COLUMNS)}
_BRANDS = ("visa", "Visa", "mastercard", "MasterCard", "amex")
_FUNDING = ("credit", "debit", "debit", "prepaid")
_COUNTRIES = ("US", "DE", "JP", "KW", "FR", "GB")
_CHANNELS = ("web", "app", "store")


class StripeReports:
    """The itemised reports of payouts and of what is in them."""

    def __init__(self, request: Request, deliveries: Deliveries) -> None:
        self._channels = [channel for channel in request.channels if channel.provider == NAME]
        self._deliveries = deliveries
        self._begun: set[str] = set()
        self._listed: set[tuple[Report, Channel]] = set()

    def take_item(self, item: PspItem) -> Iterator[Chunk]:
        """Write a balance transaction; a report that lists it before its payout names none."""
        self._listed.add((ITEMS, item.channel))
        for name in self._deliveries.listing(ITEMS, item.channel, item.arrives_on):
            yield from self._append(name, ITEM_COLUMNS, item_line(item))
        for name in self._deliveries.waiting(ITEMS, item.channel, item.created, item.arrives_on):
            yield from self._append(name, ITEM_COLUMNS, item_line(item, is_paid=False))

    def take_payout(self, payout: Payout) -> Iterator[Chunk]:
        """Write a payout."""
        self._listed.add((PAYOUTS, payout.channel))
        for name in self._deliveries.listing(PAYOUTS, payout.channel, payout.arrives_on):
            yield from self._append(name, PAYOUT_COLUMNS, payout_line(payout))

    def close(self, as_of: date) -> Iterator[Chunk]:
        """Write the header alone of a report in which nothing is listed."""
        for channel in self._channels:
            for report, columns in ((ITEMS, ITEM_COLUMNS), (PAYOUTS, PAYOUT_COLUMNS)):
                if (report, channel) not in self._listed:
                    for name in self._deliveries.of_nothing(report, channel, as_of):
                        yield name, csv_line(columns).encode()

    def _append(self, name: str, header: tuple[str, ...], line: str) -> Iterator[Chunk]:
        if name not in self._begun:
            self._begun.add(name)
            yield name, csv_line(header).encode()
        yield name, line.encode()


def csv_line(cells: list[str] | tuple[str, ...]) -> str:
    """Write one line of CSV, quoted where RFC 4180 asks for it."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def item_line(item: PspItem, *, is_paid: bool = True) -> str:
    """Write a balance transaction as a line of the itemised report; one that is not paid out yet names no payout."""
    profile, variant = PROFILES[item.currency], item.variant
    cells = [""] * len(ITEM_COLUMNS)

    def put(**values: str) -> None:
        for name, value in values.items():
            cells[_PLACE[name]] = value

    arrives = midnight(item.arrives_on)
    gross = major(item.gross_minor, profile.exponent)
    paid = (item.payout_id, stamp(arrives), stamp(arrives + REPORT_ZONE_SECONDS)) if is_paid else ("", "", "")
    cells[:14] = (
        *paid,
        item.txn_id,
        stamp(item.created),
        stamp(item.created + REPORT_ZONE_SECONDS),
        stamp(arrives),
        stamp(arrives + REPORT_ZONE_SECONDS),
        item.currency.lower() if variant & 1 else item.currency,
        gross,
        major(item.fee_minor, profile.exponent),
        major(item.net_minor, profile.exponent),
        item.category,
        item.source_id,
    )
    cells[_PLACE["description"]] = item.description
    if item.charge_created is not None:
        put(
            customer_facing_amount=gross,
            customer_facing_currency=item.currency.lower(),
            charge_id=item.charge_id,
            payment_intent_id=item.payment_intent_id,
            charge_created_utc=stamp(item.charge_created),
            charge_created=stamp(item.charge_created + REPORT_ZONE_SECONDS),
            payment_method_type="card",
            is_link="true" if variant & 14 == 0 else "false",
            card_brand=_BRANDS[variant % len(_BRANDS)],
            card_funding=_FUNDING[(variant >> 4) % len(_FUNDING)],
            card_country=_COUNTRIES[(variant >> 6) % len(_COUNTRIES)],
        )
        cells[_PLACE["payment_metadata[order_id]"]] = item.order
        cells[_PLACE["payment_metadata[channel]"]] = _CHANNELS[(variant >> 9) % len(_CHANNELS)]
    if item.category == "refund":
        cells[_PLACE["refund_metadata[reason]"]] = item.reason
        put(trace_id_status="pending")
    elif item.reason:
        put(dispute_reason=item.reason)
    return csv_line(cells)


def payout_line(payout: Payout) -> str:
    """Write a payout as a line of the payouts report."""
    profile = PROFILES[payout.currency]
    arrives = midnight(payout.arrives_on)
    amount = major(payout.net_minor, profile.exponent)
    return csv_line(
        (
            payout.payout_id,
            stamp(arrives),
            stamp(arrives + REPORT_ZONE_SECONDS),
            payout.currency if payout.variant & 3 else payout.currency.lower(),
            payout.txn_id,
            amount,
            major(0, profile.exponent),
            amount,
            "payout",
            "STRIPE PAYOUT",
            stamp(arrives),
            "paid",
            "",
            "bank_account",
            "",
            f"ba_{profile.iban[-8:]}",
        )
    )
