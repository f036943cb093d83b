"""Settlement reports of a made-up merchant, by the documented columns: what a test says and defaults for the rest."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from decimal import Decimal

from ingest.sources.adyen_settlement.contract import ITEMS

STANDARD = (
    "Company Account", "Merchant Account", "Psp Reference", "Merchant Reference", "Payment Method", "Creation Date",
    "TimeZone", "Type", "Modification Reference", "Gross Currency", "Gross Debit (GC)", "Gross Credit (GC)",
    "Exchange Rate", "Net Currency", "Net Debit (NC)", "Net Credit (NC)", "Commission (NC)", "Markup (NC)",
    "Scheme Fees (NC)", "Interchange (NC)", "Payment Method Variant", "Modification Merchant Reference", "Batch Number",
    "Reserved4", "Reserved5", "Reserved6", "Reserved7", "Reserved8", "Reserved9", "Reserved10",
)  # fmt: skip

Row = dict[str, str]


def payment(number: int = 1, gross: str = "10.00", net: str = "9.76", **more: str) -> Row:
    """Return a payment of `gross` that brought `net`, with fees that explain it; `-` before an amount is a debit.

    Other columns are named by `more`, as the contract calls them.
    """
    row = dict.fromkeys(STANDARD, "")
    row |= {
        "Company Account": "Kontor",
        "Merchant Account": "KontorEU",
        "Psp Reference": f"88{number:014}",
        "Merchant Reference": f"order-{number}",
        "Payment Method": "visa",
        "Creation Date": "2026-10-05 12:00:00",
        "TimeZone": "CEST",
        "Type": "Settled",
        "Modification Reference": f"99{number:014}",
        "Gross Currency": "EUR",
        "Exchange Rate": "1",
        "Net Currency": "EUR",
        "Payment Method Variant": "visacredit",
        "Batch Number": "7",
    }
    row |= _sides("Gross Debit (GC)", "Gross Credit (GC)", gross) | _sides("Net Debit (NC)", "Net Credit (NC)", net)
    fee = Decimal(gross or 0) - Decimal(net)
    row["Commission (NC)"] = str(fee) if fee and gross else ""
    return _with(row, more)


def line(type_: str, net: str, text: str = "", **more: str) -> Row:
    """Return a line of the batch itself: without a payment and without a gross."""
    row = payment(gross="", net=net)
    row |= dict.fromkeys(
        ("Psp Reference", "Merchant Reference", "Payment Method", "Payment Method Variant", "Exchange Rate"), ""
    )
    row |= {"Type": type_, "Modification Reference": text, "Creation Date": "2026-10-07 08:00:00"}
    return _with(row, more)


def payout(
    net: str, *, batch: str = "7", merchant: str = "KontorEU", transfer: str = "TX1000000007XT", **more: str
) -> Row:
    """Return the payout of a batch, which takes `net` from the balance."""
    debit = net[1:] if net.startswith("-") else f"-{net}"
    row = line("MerchantPayout", debit, f"{transfer} batch {batch}, {merchant}", **more)
    return row | {"Batch Number": batch, "Merchant Account": merchant}


def report(rows: Sequence[Mapping[str, str]], columns: Sequence[str] | None = None) -> str:
    """Return the file of `rows`, with the standard columns and those that a row has besides."""
    shown = columns or [*STANDARD, *dict.fromkeys(name for row in rows for name in row if name not in STANDARD)]
    sink = io.StringIO()
    writer = csv.DictWriter(sink, shown, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue()


def _sides(debit: str, credit: str, amount: str) -> Row:
    if not amount:
        return {debit: "", credit: ""}
    return {debit: amount[1:], credit: ""} if amount.startswith("-") else {debit: "", credit: amount}


_NAMES = {column.name: column.shown for column in ITEMS.columns}


def _with(row: Row, more: Mapping[str, str]) -> Row:
    return row | {_NAMES[name]: value for name, value in more.items()}
