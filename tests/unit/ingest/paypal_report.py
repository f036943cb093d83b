"""Settlement reports of PayPal's, record by record, made for tests."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from ingest.sources.paypal_stl.contract import ITEMS, OWN

Row = dict[str, str]

COLUMNS = tuple(column.written[0] for column in ITEMS.columns if column.name not in OWN)
ZONE = "-0800"
SECTION = ("2026/01/06 00:00:00 -0800", "2026/01/06 23:59:59 -0800", "EZ782AXEUJUW8")


def row(
    transaction: str,
    code: str,
    gross: tuple[str, str],
    fee: tuple[str, str] = ("", ""),
    *,
    currency: str = "USD",
    at: str = "2026/01/06 10:00:00 -0800",
    **more: str,
) -> Row:
    """Return a body row; `gross` and `fee` are (side, hundredths)."""
    told = {
        "Transaction ID": transaction,
        "Transaction Event Code": code,
        "Transaction Initiation Date": at,
        "Transaction Completion Date": at,
        "Transaction Debit or Credit": gross[0],
        "Gross Transaction Amount": gross[1],
        "Gross Transaction Currency": currency,
        "Fee Debit or Credit": fee[0],
        "Fee Amount": fee[1],
        "Fee Currency": currency if fee[1] else "",
    }
    return told | {name.replace("_", " "): value for name, value in more.items()}


def section(
    rows: Sequence[Mapping[str, str]],
    *footers: Sequence[str],
    columns: Sequence[str] = COLUMNS,
    place: Sequence[str] = SECTION,
) -> list[Sequence[str]]:
    """Return the records of a section: its period, its columns, its rows, and what stands behind them."""
    body = [("SB", *(each.get(name, "") for name in columns)) for each in rows]
    return [("SH", *place), ("CH", *columns), *body, *footers]


def written(records: Iterable[Sequence[str]]) -> str:
    """Write records as PayPal does."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(records)
    return buffer.getvalue()


def report(*sections: Sequence[Sequence[str]], behind: Sequence[Sequence[str]] = (("FF", "1"),)) -> str:
    """Write a whole report, made on the morning after."""
    head = (("RH", "2026/01/07 04:00:00 -0800", "A", SECTION[2], "9"), ("FH", "1"))
    return written([*head, *(record for each in sections for record in each), *behind])
