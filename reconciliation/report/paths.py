"""The way of a break's item: ledger, provider, payout, bank, each met, differing, missing or still to come.

The break's own evidence holds the sides that were compared; the stations beyond them are looked up in the run's tables,
a few queries for all breaks together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, text

from ledger_core.journal.money import Money
from reconciliation.breaks.break_classes import break_class
from reconciliation.report.amounts import format_amount, format_day
from reconciliation.report.model import Station

Evidence = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """What the run knows about the stations beyond a break's own sides, by payout and by provider's item."""

    payouts: dict[str, Row[Any]] = field(default_factory=dict)
    bank_lines: dict[str, Row[Any]] = field(default_factory=dict)
    item_sums: dict[str, Row[Any]] = field(default_factory=dict)
    ledger_by_item: dict[str, Row[Any]] = field(default_factory=dict)
    item_by_reference: dict[str, Row[Any]] = field(default_factory=dict)


def paths_of(connection: Connection, breaks: Sequence[Row[Any]]) -> dict[str, tuple[Station, ...]]:
    """Return the way of each break's item, by `break_id`."""
    sides = {row.break_id: _sides(row.evidence) for row in breaks}
    lookup = _look_up(connection, breaks, sides)
    return {row.break_id: _path(row, sides[row.break_id], lookup) for row in breaks}


def _sides(evidence: Sequence[Evidence]) -> dict[str, Evidence]:
    """Return the first piece of evidence of each side."""
    found: dict[str, Evidence] = {}
    for piece in evidence:
        found.setdefault(str(piece.get("side")), piece)
    return found


def _look_up(connection: Connection, breaks: Sequence[Row[Any]], sides: dict[str, dict[str, Evidence]]) -> Lookup:
    references = {row.key for row in breaks if break_class(row.break_class).is_second_entry}
    items = _query(
        connection,
        "select matches.ledger_key as id, items.* from analytics.fct_matches as matches"
        " inner join analytics.int_psp_items as items on items.psp_transaction_id = matches.psp_key"
        " where matches.leg = 'A' and matches.ledger_key = any(:ids)",
        references,
    )
    payouts = {str(side["payout"]) for each in sides.values() for side in each.values() if side.get("payout")}
    payouts |= {str(row.payout_id) for row in items.values() if row.payout_id}
    transactions = {
        str(side["balance_transaction"])
        for each in sides.values()
        for name, side in each.items()
        if name == "payout" and side.get("balance_transaction")
    }
    return Lookup(
        item_by_reference=items,
        payouts=_query(
            connection, "select payout_id as id, * from analytics.int_psp_payouts where payout_id = any(:ids)", payouts
        ),
        bank_lines=_query(
            connection,
            "select payouts.payout_id as id, matches.class as match_class, lines.*"
            " from analytics.int_bank_matches as matches"
            " inner join analytics.int_psp_payouts as payouts using (payout_number)"
            " inner join analytics.int_bank_lines as lines using (bank_line_id)"
            " where payouts.payout_id = any(:ids)",
            payouts,
        ),
        item_sums=_query(
            connection,
            "select payout_id as id, count(*) as items, sum(net_minor)::text as net_minor, min(currency) as currency"
            " from analytics.int_payout_items where payout_id = any(:ids) group by payout_id",
            payouts,
        ),
        ledger_by_item=_query(
            connection,
            "select psp_key as id, * from analytics.fct_matches where leg = 'A' and psp_key = any(:ids)",
            transactions,
        ),
    )


def _query(connection: Connection, statement: str, ids: set[str]) -> dict[str, Row[Any]]:
    if not ids:
        return {}
    return {row.id: row for row in connection.execute(text(statement), {"ids": sorted(ids)})}


def _path(row: Row[Any], sides: dict[str, Evidence], lookup: Lookup) -> tuple[Station, ...]:
    if row.leg == "A":
        psp = sides.get("psp")
        payout_id = str(psp["payout"]) if psp and psp.get("payout") else None
        is_second_entry = break_class(row.break_class).is_second_entry
        if payout_id is None and is_second_entry and row.key in lookup.item_by_reference:
            payout_id = lookup.item_by_reference[row.key].payout_id
        return (
            _ledger(row, sides.get("ledger")),
            _provider(row, psp, lookup),
            _payout(payout_id, lookup, reached=psp is not None),
            _bank_of(payout_id, lookup),
        )
    return (
        _payout_entry(sides.get("payout"), lookup),
        _payout_items(sides.get("payout"), lookup),
        _payout_side(row, sides.get("payout")),
        _bank_side(row, sides.get("bank")),
    )


def _ledger(row: Row[Any], side: Evidence | None) -> Station:
    if side is None:
        return Station(place="Ledger", state="missing", title="no entry with this reference")
    state = _state(row, "ledger")
    again = " again," if break_class(row.break_class).is_second_entry else ""
    title = f"booked{again} {_day(side['on'])}"
    facts = (
        ("Entry", str(side["external_id"])),
        ("Account", str(side["ledger_account"])),
        *_gross_and_fee(side),
    )
    return Station(place="Ledger", state=state, title=title, amount=_amount(side, "net_minor"), facts=facts)


def _provider(row: Row[Any], side: Evidence | None, lookup: Lookup) -> Station:
    if side is None:
        item = lookup.item_by_reference.get(row.key)
        if item is not None:
            return Station(
                place="Provider",
                state="met",
                title="matched with the first entry",
                amount=Money(amount_minor=int(item.net_minor), currency=item.currency),
                facts=(("Transaction", item.psp_transaction_id),),
            )
        return Station(place="Provider", state="missing", title="no item with this reference")
    state = _state(row, "provider")
    names = (("Transaction", "balance_transaction"), ("Source", "source"), ("Reference", "merchant_reference"))
    facts = tuple((words, str(side[name])) for words, name in names if side.get(name)) + _gross_and_fee(side)
    title = f"{side.get('type', 'item')}, {_day(side['on'])}"
    return Station(place="Provider", state=state, title=title, amount=_amount(side, "net_minor"), facts=facts)


def _payout(payout_id: str | None, lookup: Lookup, *, reached: bool) -> Station:
    if payout_id is None:
        return Station(
            place="Payout",
            state="waiting" if reached else "unknown",
            title="not paid out yet" if reached else "unknown without the provider's item",
        )
    payout, items = lookup.payouts.get(payout_id), lookup.item_sums.get(payout_id)
    facts: tuple[tuple[str, str], ...] = (("Payout", payout_id),)
    if items is not None:
        facts += (("Items", f"{items.items:,}"),)
    if payout is None:
        return Station(place="Payout", state="unknown", title="not reported by itself", facts=facts)
    return Station(
        place="Payout",
        state="met",
        title=f"due {_day(payout.expected_on)}",
        amount=Money(amount_minor=int(payout.net_minor), currency=payout.currency),
        facts=facts,
    )


def _bank_of(payout_id: str | None, lookup: Lookup) -> Station:
    line = lookup.bank_lines.get(payout_id or "")
    if line is None:
        known = payout_id is not None and payout_id in lookup.payouts
        title = "no line carries this payout yet" if known else "unknown without a payout"
        return Station(place="Bank", state="waiting" if known else "unknown", title=title)
    return Station(
        place="Bank",
        state="met" if line.match_class is None else "differs",
        title=f"booked {_day(line.booked_on)}",
        amount=Money(amount_minor=int(line.amount_minor), currency=line.currency),
        facts=(("Reference", line.reference), ("Account", line.account_iban)),
    )


def _payout_entry(side: Evidence | None, lookup: Lookup) -> Station:
    if side is None:
        return Station(place="Ledger", state="unknown", title="no payout, so no entry to look for")
    entry = lookup.ledger_by_item.get(str(side.get("balance_transaction", "")))
    if entry is None:
        return Station(place="Ledger", state="missing", title="no entry for this payout")
    amount = Money(amount_minor=int(entry.ledger_amount_minor), currency=entry.currency)
    state = "met" if entry.is_equal else "differs"
    return Station(
        place="Ledger", state=state, title=f"booked {_day(entry.ledger_on)}", amount=amount,
        facts=(("Reference", str(entry.ledger_key)),),
    )  # fmt: skip


def _payout_items(side: Evidence | None, lookup: Lookup) -> Station:
    if side is None:
        return Station(place="Provider", state="missing", title="no payout with this reference")
    items = lookup.item_sums.get(str(side["payout"]))
    if items is None:
        return Station(place="Provider", state="unknown", title="not itemised")
    amount = Money(amount_minor=int(items.net_minor), currency=items.currency)
    same = items.net_minor == side.get("net_minor")
    title = f"{items.items:,} items" + ("" if same else ", not the payout's amount")
    return Station(place="Provider", state="met" if same else "differs", title=title, amount=amount)


def _payout_side(row: Row[Any], side: Evidence | None) -> Station:
    if side is None:
        return Station(place="Payout", state="missing", title="the provider paid out nothing like it")
    facts = (("Payout", str(side["payout"])), *((("Status", str(side["status"])),) if side.get("status") else ()))
    state = _state(row, "payout")
    title = f"due {_day(side.get('expected_on') or side.get('on'))}"
    return Station(place="Payout", state=state, title=title, amount=_amount(side, "net_minor"), facts=facts)


def _bank_side(row: Row[Any], side: Evidence | None) -> Station:
    if side is None:
        state = "unknown" if "bank" in break_class(row.break_class).unknown_at else "missing"
        return Station(place="Bank", state=state, title="no line carries this payout")
    state = _state(row, "bank")
    facts = (("Reference", str(side["reference"])), ("Account", str(side["bank_account"])))
    title = f"booked {_day(side['on'])}"
    return Station(place="Bank", state=state, title=title, amount=_amount(side, "amount_minor"), facts=facts)


def _state(row: Row[Any], station: str) -> str:
    """Return how a station that has the item shows it: its class says where the difference lies."""
    return "differs" if station in break_class(row.break_class).differs_at else "met"


def _amount(side: Evidence, name: str) -> Money | None:
    return Money(amount_minor=int(side[name]), currency=str(side["currency"])) if side.get(name) is not None else None


def _gross_and_fee(side: Evidence) -> tuple[tuple[str, str], ...]:
    """Return gross and fee where a fee was taken: without one the net says it all."""
    fee = _amount(side, "fee_minor")
    if fee is None or fee.amount_minor == 0:
        return ()
    return (("Gross", format_amount(_amount(side, "gross_minor"))), ("Fee", format_amount(fee)))


def _day(value: object) -> str:
    if isinstance(value, date):
        return format_day(value)
    return format_day(date.fromisoformat(value)) if isinstance(value, str) and value else "on an unknown day"
