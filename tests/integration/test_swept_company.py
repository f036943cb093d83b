"""A company whose reports come late: swept first, reported afterwards, and the run says the same both times."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ingest.landing.land import land
from ingest.landing.sweep import sweep
from ingest.sources.stripe_api.fetch import open_lists
from ledger_core.actor import Actor
from ledger_core.files.chart import apply_chart_file
from ledger_core.files.entries import post_file
from ledger_core.journal.money import exponent
from ledger_core.runtime import Runtime
from reconciliation.breaks.queue import list_breaks
from reconciliation.runs.run import reconcile
from tests.integration.landing.stripe_server import KEY, Stripe, serving
from tests.integration.test_reconcile_scenarios import Company, Row

pytestmark = pytest.mark.integration
ACTOR = Actor(subject="test")
ITEMS = """
    select psp_transaction_id, source_id, payout_id, event, currency, gross_minor, fee_minor, net_minor, booked_on
    from analytics.int_psp_items order by psp_transaction_id
"""
PAYOUTS = """
    select payout_id, psp_transaction_id, currency, net_minor, bank_minor, is_expected_at_bank
    from analytics.int_psp_payouts order by payout_id
"""


def seconds(written: str) -> int:
    return int(datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp())


def minor(written: str, currency: str) -> int:
    value = Decimal(written) * 10 ** exponent(currency.upper())
    assert value == int(value)
    return int(value)


def transaction(row: Row) -> dict[str, Any]:
    """Return the balance transaction that the API would list for an item of a report."""
    currency, source = row["currency"].lower(), row["source_id"] or None
    kind = "charge" if (source or "").startswith("ch_") else "refund"
    metadata = {name[17:-1]: value for name, value in row.items() if name.startswith("payment_metadata[") and value}
    of_charge = {"charge": row["charge_id"]} if kind == "refund" else {"payment_method_details": {"type": "card"}}
    return {
        "id": row["balance_transaction_id"],
        "object": "balance_transaction",
        "created": seconds(row["created_utc"]),
        "currency": currency,
        "amount": minor(row["gross"], currency),
        "fee": minor(row["fee"], currency),
        "net": minor(row["net"], currency),
        "exchange_rate": None,
        "type": "adjustment",
        "reporting_category": row["reporting_category"],
        "status": "available",
        "balance_type": "payments",
        "source": source and {
            "id": source, "object": kind, "payment_intent": row["payment_intent_id"] or None, "metadata": metadata,
            **of_charge,
        },
    }  # fmt: skip


def payout(row: Row) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a payout of a report as the API would list it, and its own balance transaction."""
    currency, created = row["currency"].lower(), seconds(row["effective_at_utc"])
    amount = abs(minor(row["net"], currency))
    moved = {
        "id": row["balance_transaction_id"], "object": "balance_transaction", "created": created, "currency": currency,
        "amount": -amount, "fee": 0, "net": -amount, "type": "payout", "reporting_category": "payout",
        "source": row["payout_id"],
    }  # fmt: skip
    paid = {
        "id": row["payout_id"], "object": "payout", "created": created, "currency": currency, "amount": amount,
        "arrival_date": seconds(row["payout_expected_arrival_date"][:10]), "status": row["payout_status"] or "paid",
        "automatic": True, "reconciliation_status": "completed", "balance_transaction": moved, "type": "bank_account",
    }  # fmt: skip
    return paid, moved


def played(company: Company) -> Stripe:
    """Return the server of what Stripe would list to the company whose reports lie in its folder."""
    items = {
        row["balance_transaction_id"]: row for rows in company.reports.values() for row in rows if "source_id" in row
    }
    payouts = [payout(row) for rows in company.reports.values() for row in rows if "payout_status" in row]
    settled: dict[str, list[str]] = defaultdict(list)
    for name, row in items.items():
        settled[row["automatic_payout_id"]].append(name)
    transactions = [transaction(row) for row in items.values() if row["reporting_category"] != "payout"]
    return Stripe(
        transactions=[*transactions, *(moved for _, moved in payouts)],
        payouts=[paid for paid, _ in payouts],
        settled=settled,
    )


def load_but_reports(company: Company) -> None:
    runtime = company.runtime
    apply_chart_file(runtime, company.folder / "accounts.yaml", book="main", actor=ACTOR)
    post_file(runtime.ledger("main"), runtime.engine, company.folder / "entries.jsonl", actor=ACTOR)
    land(runtime, source="camt053", paths=[company.folder / "bank"])


def found(runtime: Runtime) -> tuple[list[Any], list[Any], list[Any]]:
    with runtime.engine.connect() as connection:
        items = [tuple(row) for row in connection.execute(text(ITEMS))]
        payouts = [tuple(row) for row in connection.execute(text(PAYOUTS))]
        breaks = [(each.break_class, each.key, each.amount_minor) for each in list_breaks(connection, "main")]
    return items, payouts, breaks


def test_what_was_swept_and_what_is_reported_later_are_the_same_run(runtime: Runtime, tmp_path: Path) -> None:
    company = Company(runtime, tmp_path / "sample")
    load_but_reports(company)
    key = tmp_path / "key"
    key.write_text(KEY)
    with serving(played(company)) as stripe:
        told = runtime.settings.ingest.model_copy(
            update={"stripe_url": stripe.url, "stripe_key_files": {"default": key}}
        )
        lists = replace(
            open_lists(runtime.settings.model_copy(update={"ingest": told}), "default"), sleep=lambda _: None
        )
        moments = [each["created"] for each in (*stripe.transactions, *stripe.payouts)]
        days: tuple[date, date] = tuple(datetime.fromtimestamp(end(moments), UTC).date() for end in (min, max))  # type: ignore[assignment]
        swept = {each.list: each for each in sweep(runtime, days=days, lists=lists)}
    assert swept["balance_transactions"].seen_first == swept["balance_transactions"].objects == len(stripe.transactions)
    first = reconcile(runtime)
    by_api = found(runtime)
    assert by_api[2] == []
    assert len(by_api[0]) == len(stripe.transactions)
    assert len(by_api[1]) == len(stripe.payouts)
    land(runtime, source="stripe_report", paths=[company.folder / "stripe"])
    second = reconcile(runtime)
    assert found(runtime) == by_api
    assert first.match_rate == second.match_rate == "1.000000"
    assert (first.verdict, first.pending, first.breaks_by_class) == (second.verdict, second.pending, {})
