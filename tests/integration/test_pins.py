"""The pin: which day a run is of, what it reads, and what its name says. No model is built here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from ingest.landing.land import land
from ledger_core.actor import Actor
from ledger_core.errors import InvalidInput
from ledger_core.evidence.export.segment import export_segment
from ledger_core.files.chart import apply_chart_file
from ledger_core.journal.entries import parse_entry
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime
from reconciliation.runs.pins import Pin, store_pin, take_pin

pytestmark = pytest.mark.integration
TODAY = date(2026, 3, 20)
CHART = """
book: main
accounts:
  - {code: assets:clearing, type: asset, currency: EUR, overdraft: allowed, metadata: {source: stripe, role: clearing}}
  - {code: revenue:sales, type: revenue, currency: EUR, overdraft: allowed}
"""
PAYOUTS = (
    "payout_id,effective_at_utc,currency,balance_transaction_id,gross,fee,net,reporting_category,description,"
    "payout_expected_arrival_date,payout_status,payout_type\n"
)


class Book:
    """A book and its files, a few lines at a time."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self.runtime, self.folder = runtime, folder
        chart = folder / "chart.yaml"
        chart.write_text(CHART)
        apply_chart_file(runtime, chart, book=None, actor=Actor(subject="test"))

    def post(self, on: str) -> None:
        sides = (("assets:clearing", "debit"), ("revenue:sales", "credit"))
        postings = [{"account": code, "direction": side, "amount": "1", "currency": "EUR"} for code, side in sides]
        entry = {"effective_at": f"{on}T10:00:00Z", "external_id": f"e:{on}", "postings": postings, "metadata": {}}
        self.runtime.ledger().append([parse_entry(entry)], Ask(actor=Actor(subject="test")))

    def land(self, *days: str, account: str = "default") -> None:
        path = self.folder / f"payouts-{account}-{'-'.join(days)}.csv"
        rows = [
            f"po_{day}{account},{day} 00:00:00,EUR,txn_{day}{account},1.00,0.00,1.00,payout,,{day},paid,bank\n"
            for day in days
        ]
        path.write_text(PAYOUTS + "".join(rows))
        (landed,) = land(self.runtime, source="stripe_report", paths=[path], account=account)
        assert landed.status == "landed", landed.error

    def pin(self, *, to: date | None = None, today: date = TODAY) -> Pin:
        runtime = self.runtime
        return take_pin(
            runtime.engine,
            runtime.settings,
            book="main",
            to=to,
            today=today,
            code_version="code",
            home=runtime.home,
        )

    def feeds(self, content: str) -> None:
        (self.runtime.home / "feeds.yaml").write_text(content)


@pytest.fixture
def book(runtime: Runtime, tmp_path: Path) -> Iterator[Book]:
    return Book(runtime, tmp_path)


def test_what_is_dated_ahead_does_not_move_the_day(book: Book) -> None:
    with pytest.raises(InvalidInput, match="nothing to reconcile"):
        book.pin()
    book.post("2026-03-05")
    assert book.pin().as_of == date(2026, 3, 5)
    book.post("2062-01-01")
    assert book.pin().as_of == date(2026, 3, 5)
    book.land("2026-03-09", "2026-03-10")
    assert book.pin().as_of == date(2026, 3, 10)
    # A report whose last payout is still on its way.
    book.land("2026-03-12", "2026-03-25")
    assert book.pin().as_of == date(2026, 3, 12)
    assert book.pin(today=date(2026, 3, 25)).as_of == date(2026, 3, 25)
    book.post("2026-03-20")
    assert book.pin().as_of == TODAY


def test_a_day_to_come_is_refused_whatever_is_dated_on_it(book: Book) -> None:
    book.post("2026-03-05")
    book.post("2062-01-01")
    with pytest.raises(InvalidInput, match="has not come"):
        book.pin(to=date(2062, 1, 1))
    with pytest.raises(InvalidInput, match="has not come"):
        book.pin(to=TODAY + timedelta(days=1))
    assert book.pin(to=TODAY).as_of == TODAY


def test_a_later_file_is_no_part_of_an_earlier_day(book: Book) -> None:
    book.post("2026-03-05")
    book.land("2026-03-09")
    before = book.pin(to=date(2026, 3, 10))
    book.land("2026-03-11", "2026-03-16")
    assert book.pin(to=date(2026, 3, 10)).run_id == before.run_id
    assert len(book.pin(to=date(2026, 3, 11)).files) == 2
    # One that says something about the day as well is.
    book.land("2026-03-10", "2026-03-17")
    assert book.pin(to=date(2026, 3, 10)).run_id != before.run_id


def test_what_is_expected_stands_in_the_name_and_in_the_pin(book: Book) -> None:
    book.post("2026-03-05")
    plain = book.pin()
    book.feeds("feeds:\n  - {source: stripe_report, record_type: payouts, cadence: daily}\n")
    daily = book.pin()
    book.feeds(
        "# the same, written otherwise\nfeeds:\n- cadence: daily\n  record_type: payouts\n  source: stripe_report\n"
    )
    assert book.pin().run_id == daily.run_id
    book.feeds("feeds:\n  - {source: stripe_report, record_type: payouts, cadence: daily, account: acct_2}\n")
    assert len({plain.run_id, daily.run_id, book.pin().run_id}) == 3
    with book.runtime.engine.begin() as connection:
        store_pin(connection, daily)
        stored = connection.execute(text("select source, account, cadence, due_hour, since from recon.pin_feeds")).all()
    assert [tuple(row) for row in stored] == [("stripe_report", "default", "daily", 12, None)]
    book.feeds("feeds:\n  - {source: stripe_report, record_type: payouts, cadence: hourly}\n")
    with pytest.raises(InvalidInput, match="no cadence"):
        book.pin()


def test_the_contracts_facts_stand_in_the_name(book: Book) -> None:
    book.post("2026-03-05")
    plain = book.pin().run_id
    with book.runtime.engine.begin() as connection:
        connection.execute(text("update raw.sources set time_zone = 'Europe/Berlin' where source = 'stripe_report'"))
    zoned = book.pin().run_id
    with book.runtime.engine.begin() as connection:
        connection.execute(text("delete from raw.bank_claims where source = 'stripe_report'"))
    assert len({plain, zoned, book.pin().run_id}) == 3


def test_of_a_file_its_facts_stand_in_the_name_and_never_its_name_or_its_landing(book: Book, engine: Engine) -> None:
    book.post("2026-03-05")
    book.land("2026-03-05")
    names = [book.pin().run_id]
    for changed in ("received_at = '2020-01-01', name = 'another.csv'", "interval_from = '2026-03-01'"):
        with engine.begin() as connection:
            connection.execute(text("set local session_replication_role = replica"))  # raw is written once
            connection.execute(text(f"update raw.files set {changed}"))
        names.append(book.pin().run_id)
    assert names[0] == names[1] != names[2]


def test_a_day_to_come_is_not_exported(book: Book) -> None:
    book.post("2026-03-05")
    today = datetime.now(UTC).date()
    with pytest.raises(InvalidInput, match="has not come"):
        export_segment(book.runtime, closed_on=today + timedelta(days=1), book="main")
    assert export_segment(book.runtime, closed_on=today, book="main").created
