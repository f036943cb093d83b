"""What a provider and a bank send of a company over time: windows, repetitions, corrections, contradictions.

Reports are windows over the items as they stood when each was made; statements come alone, together, twice, and made
again with something else in them. The drawn company stays what it is: only what is said of it varies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import Any

from tests.cases.matching.conftest import companies

DAYS = 13
SPARE_COLUMNS = ("payout_reference_token", "order_id", "trace_id")
"""What a report may be made without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file as it is landed."""

    source: str
    account: str | None
    name: str
    text: str
    interval: tuple[date, date] | None = None


def documents_of(case: Any, chance: Random) -> list[Document]:
    """Draw what was sent of `case`."""
    return [
        *_reports(case, chance, case.items, companies.ITEM_COLUMNS, _item_then, "items"),
        *_reports(case, chance, case.payouts, companies.PAYOUT_COLUMNS, _payout_then, "payouts"),
        *_deliveries(case, chance),
    ]


def _reports(
    case: Any, chance: Random, rows: list[dict[str, str]], columns: tuple[str, ...], then: Any, kind: str
) -> list[Document]:
    made = []
    for number in range(chance.randint(1, 4) if rows else 0):
        first = chance.randint(0, DAYS - 1)
        last = first + chance.choice([0, 2, 6, DAYS])
        within = [row for row in rows if first <= _day(row) <= last and chance.random() < 0.9]
        spared = chance.choice([None, None, None, *SPARE_COLUMNS])
        shown = tuple(column for column in columns if column != spared)
        written = [then(row, chance) for row in chance.sample(within, len(within))]
        interval = (companies.FIRST + timedelta(days=first), companies.FIRST + timedelta(days=last))
        made.append(
            Document(
                source="stripe_report",
                account=case.account,
                name=chance.choice([f"{kind}.csv", f"{kind}-{number}.csv"]),
                text=companies.report(shown, [{name: row[name] for name in shown if name in row} for row in written]),
                interval=interval if chance.random() < 0.3 else None,
            )
        )
    return made


def _day(row: dict[str, str]) -> int:
    stated = row.get("created_utc") or row["effective_at_utc"]
    return (date.fromisoformat(stated[:10]) - companies.FIRST).days


def _item_then(row: dict[str, str], chance: Random) -> dict[str, str]:
    """Return an item as some report has it: not settled yet, or with another amount."""
    row = dict(row)
    if chance.random() < 0.3:
        row["automatic_payout_id"] = ""
    if chance.random() < 0.1:
        row["gross"] = row["net"] = "77" if "." not in row["net"] else "77" + row["net"][row["net"].index(".") :]
        row["fee"] = "0"
    return row


def _payout_then(row: dict[str, str], chance: Random) -> dict[str, str]:
    """Return a payout as some report has it: on its way, or failed."""
    row = dict(row)
    if chance.random() < 0.4:
        row["payout_status"] = chance.choice(["in_transit", "paid", "failed"])
    return row


def _deliveries(case: Any, chance: Random) -> list[Document]:
    if not case.lines:
        return []
    stated = companies.statements(case)
    sent = [[part] for part in stated] if chance.random() < 0.5 else [stated]
    for _ in range(chance.randint(0, 2)):
        sent.append(chance.sample(stated, chance.randint(1, len(stated))))
    if chance.random() < 0.4:
        corrected = replace(case, lines=[_line_then(line, chance) for line in case.lines])
        again = companies.statements(corrected, made=chance.choice(["20:00:00", "20:00:00", "22:30:00"]))
        sent.append(chance.sample(again, chance.randint(1, len(again))))
    return [
        Document(
            source="camt053",
            account=None,
            name=chance.choice(["statement.xml", f"statement-{case.number}-{number}.xml"]),
            text=companies.statement_document(case, parts),
        )
        for number, parts in enumerate(sent)
    ]


def _line_then(line: Any, chance: Random) -> Any:
    return replace(line, amount=line.amount + chance.choice([0, 0, 100]), remittance=(*line.remittance, "corrected"))
