"""What samples do not plant: classes that need a strange file, missing input, the life of a break."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.reversals import reverse
from ingest.landing.file_keys import drop_key
from ingest.landing.land import land
from ingest.landing.stored_bytes import read_stored
from ledger_core.actor import Actor
from ledger_core.errors import DependencyError, Erased, InvalidInput, NotFound
from ledger_core.files.chart import apply_chart_file
from ledger_core.files.entries import post_file
from ledger_core.journal.entries import EntryDraft, parse_entry
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime
from ledger_core.settings.rooms import ReconciliationSettings
from reconciliation.breaks.queue import Break, find_break, list_breaks
from reconciliation.runs.run import RunResult, latest_run, reconcile
from sample.writer import make_sample

pytestmark = pytest.mark.integration
ACTOR = Actor(subject="test")
Row = dict[str, str]


class Company:
    """A clean sample on disk, to be spoilt before it is loaded."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self.runtime = runtime
        self.folder = folder
        self.summary = make_sample(folder, days=10, per_day=40, seed=5, clean=True)
        self.entries: list[dict[str, Any]] = [
            json.loads(line) for line in (folder / "entries.jsonl").read_text().splitlines()
        ]
        self.reports = {path: self._read(path) for path in sorted((folder / "stripe").glob("*.csv"))}

    def items(self, category: str = "charge") -> list[Row]:
        """Return the rows of the itemised reports; changing one changes the file."""
        return [
            row
            for path, rows in self.reports.items()
            for row in rows
            if path.name.startswith("payout_reconciliation") and row["reporting_category"] == category
        ]

    def drop_item(self, row: Row) -> None:
        for rows in self.reports.values():
            rows[:] = [kept for kept in rows if kept is not row]

    def entry_of(self, row: Row) -> dict[str, Any]:
        """Return the journal entry that names the row by any of its ids, on the row's own side."""
        ids = {row[name] for name in ("balance_transaction_id", "source_id", "payment_intent_id")}
        return next(entry for entry in self.entries if entry["metadata"].get("reference") in ids)

    def load(self, *, banks: bool = True) -> None:
        for path, rows in self.reports.items():
            with path.open("w", newline="") as stream:
                writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        (self.folder / "entries.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in self.entries))
        runtime, book = self.runtime, self.runtime.settings.book
        apply_chart_file(runtime, self.folder / "accounts.yaml", book=book, actor=ACTOR)
        post_file(runtime.ledger(book), runtime.engine, self.folder / "entries.jsonl", actor=ACTOR)
        land(runtime, source="stripe_report", paths=[self.folder / "stripe"], book=book)
        if banks:
            land(runtime, source="camt053", paths=[self.folder / "bank"], book=book)

    def post(self, entry: dict[str, Any] | EntryDraft) -> str:
        draft = entry if isinstance(entry, EntryDraft) else parse_entry(entry)
        answer = self.runtime.ledger().append([draft], Ask(actor=ACTOR))
        return answer.posted[0].id

    def breaks(self, status: str | None = "open") -> list[Break]:
        with self.runtime.engine.connect() as connection:
            return list_breaks(connection, self.runtime.settings.book, status=status)

    @staticmethod
    def _read(path: Path) -> list[Row]:
        with path.open(newline="") as stream:
            return list(csv.DictReader(stream))


@pytest.fixture
def company(runtime: Runtime, tmp_path: Path) -> Company:
    return Company(runtime, tmp_path / "sample")


def by_balance_transaction(company: Company) -> list[Row]:
    """Return charges in USD whose entry names the balance transaction."""
    named = {entry["metadata"].get("reference") for entry in company.entries}
    return [
        row for row in company.items() if row["balance_transaction_id"] in named and row["currency"].upper() == "USD"
    ]


def test_strange_files_give_their_own_classes_and_no_second_break_for_one_cause(company: Company) -> None:
    unknown, dropped, first, second = by_balance_transaction(company)[:4]
    unknown["reporting_category"] = "moon_surcharge"
    company.drop_item(dropped)
    for row in (first, second):
        entry = company.entry_of(row)
        row["payment_intent_id"] = "pi_shared"
        entry["metadata"]["reference"] = "pi_shared"
    # Two entries and two items under one id, and the sums differ: nothing says which of them is wrong.
    for posting in entry["postings"]:
        posting["amount"] = str(int(posting["amount"]) * 2)
    company.load()
    result = reconcile(company.runtime)
    found = {(item.break_class, item.leg, item.key, item.amount_minor) for item in company.breaks()}
    lost = round(float(dropped["net"]) * 100)
    ambiguous = min(first["balance_transaction_id"], second["balance_transaction_id"])
    assert found == {
        ("unclassified_type", "A", unknown["balance_transaction_id"], 0),
        ("missing_at_psp", "A", dropped["balance_transaction_id"], lost),
        ("batch_sum_mismatch", "B", dropped["automatic_payout_id"], lost),
        ("ambiguous", "A", ambiguous, round(float(second["net"]) * 100)),
    }
    assert result.verdict == "breaks", result.reasons
    group = next(item for item in company.breaks() if item.break_class == "ambiguous")
    assert {"pi_shared"} <= {evidence.get("payment_intent") for evidence in group.evidence}
    assert len(group.evidence) == 4


def test_a_missing_statement_or_bank_makes_the_run_incomplete(company: Company) -> None:
    company.load(banks=False)
    waiting = reconcile(company.runtime)
    assert (waiting.verdict, waiting.reasons) == ("reconciled_with_pending", ())
    assert waiting.counts["pending_by_reason"]["awaiting_report"] > 0
    # What has never come is waited for a month; then its silence is a reason, one for each account and currency.
    without = reconcile(company.runtime, to=company.summary.as_of + timedelta(days=31))
    assert without.verdict == "incomplete"
    assert {reason["kind"] for reason in without.reasons} == {"statement_missing"}
    assert len(without.reasons) == len({reason["subject"] for reason in without.reasons}) == 4

    statements = sorted((company.folder / "bank").glob("delta_*.xml"))
    statements[3].unlink()
    land(company.runtime, source="camt053", paths=[company.folder / "bank"], book=company.runtime.settings.book)
    gap = reconcile(company.runtime)
    assert gap.verdict == "incomplete"
    assert "statement_sequence" in {reason["kind"] for reason in gap.reasons}


def _reverse(company: Company, entry_id: str, at: datetime) -> None:
    reverse(company.runtime.ledger(), company.runtime.engine, entry_id, actor=ACTOR, now=at, effective_at=at)


def test_a_break_keeps_its_identity_through_every_diagnosis_and_comes_back_as_itself(company: Company) -> None:
    row = by_balance_transaction(company)[0]
    right = company.entry_of(row)
    company.entries.remove(right)
    company.load()
    reconcile(company.runtime)
    (missing,) = company.breaks()
    assert missing.break_class == "missing_in_ledger"
    assert missing.opened_on == missing.grace_until + timedelta(days=1) if missing.grace_until else False

    wrong = json.loads(json.dumps(right)) | {"external_id": "stripe:again-1"}
    for posting in wrong["postings"]:
        posting["amount"] = str(int(posting["amount"]) * 2)
    wrong_id = company.post(wrong)
    reconcile(company.runtime)
    (unequal,) = company.breaks()
    assert (unequal.break_id, unequal.break_class) == (missing.break_id, "amount_mismatch")
    assert unequal.opened_on == missing.opened_on

    _reverse(company, wrong_id, effective(right))
    right_id = company.post(right | {"external_id": "stripe:again-2"})
    matched = reconcile(company.runtime)
    assert matched.verdict == "reconciled"
    assert company.breaks() == []

    _reverse(company, right_id, effective(right))
    reconcile(company.runtime)
    (again,) = company.breaks()
    assert (again.break_id, again.break_class) == (missing.break_id, "missing_in_ledger")
    assert (again.status, again.closed_on, again.resolution) == ("open", None, None)
    assert [item.break_id for item in company.breaks(None)] == [missing.break_id]


def test_an_adjustment_that_corrects_an_entry_closes_its_break(company: Company) -> None:
    row = by_balance_transaction(company)[0]
    entry = company.entry_of(row)
    short = json.loads(json.dumps(entry))
    clearing, sales = short["postings"][0], short["postings"][-1]
    clearing["amount"] = str(int(clearing["amount"]) - 7)
    sales["amount"] = str(int(sales["amount"]) - 7)
    company.entries[company.entries.index(entry)] = short
    company.load()
    reconcile(company.runtime)
    (unequal,) = company.breaks()
    assert (unequal.break_class, unequal.amount_minor) == ("amount_mismatch", -7)

    with company.runtime.engine.connect() as connection:
        corrected = connection.exec_driver_sql(
            "select id from ledger.entries where external_id = %s", (short["external_id"],)
        ).scalar_one()
    adjustment = parse_entry(
        {
            "effective_at": entry["effective_at"],
            "external_id": "adjustment-1",
            "description": "seven cents that were left out",
            "postings": [clearing | {"amount": "7"}, sales | {"amount": "7"}],
            "metadata": {},
        }
    )
    company.post(replace(adjustment, corrects=str(corrected)))
    assert reconcile(company.runtime).verdict == "reconciled"


def test_files_that_were_erased_are_reconciled_by_their_rows(company: Company) -> None:
    company.load()
    with company.runtime.engine.begin() as connection:
        files = list(connection.exec_driver_sql("select file_id from raw.files").scalars())
        driver: Any = connection.connection.driver_connection
        assert [drop_key(driver, file_id) for file_id in files] == [True] * len(files)
    assert reconcile(company.runtime).verdict == "reconciled"
    again = land(company.runtime, source="camt053", paths=[company.folder / "bank"], book=company.runtime.settings.book)
    assert {file.status for file in again} == {"already_landed"}
    assert reconcile(company.runtime).verdict == "reconciled"
    with pytest.raises(Erased):
        list(read_stored(company.runtime, files[0]))


def test_a_run_that_could_not_reach_the_log_is_finished_by_the_next_one(company: Company) -> None:
    company.load()

    class LogAway(Runtime):
        def ledger(self, book: str | None = None) -> Any:
            raise DependencyError("the log is away.")

    parts = ("settings", "database_url", "engine", "open_signer", "archive", "raw_store", "wrapping", "security")
    parts += ("clock",)
    away = LogAway(**{name: getattr(company.runtime, name) for name in parts})
    with pytest.raises(DependencyError):
        reconcile(away)
    result = reconcile(company.runtime)
    assert result.created
    assert result.record_seq is not None
    with company.runtime.engine.connect() as connection:
        records = connection.exec_driver_sql(
            "select count(*) from ledger.records where kind = 'reconciliation_run'"
        ).scalar_one()
        assert records == 1
        latest = latest_run(connection, company.runtime.settings.book)
    assert latest is not None
    assert latest.record_seq == result.record_seq


def test_a_run_that_is_gone_back_to_is_merged_and_recorded_again(company: Company) -> None:
    company.load()
    midway = max(effective(entry) for entry in company.entries).date() - timedelta(days=6)

    def run(grace_business_days: int) -> tuple[RunResult, set[tuple[str, str]]]:
        settings = company.runtime.settings.model_copy(
            update={"reconciliation": ReconciliationSettings(grace_business_days=grace_business_days)}
        )
        result = reconcile(replace(company.runtime, settings=settings), to=midway)
        return result, {(item.break_class, item.key) for item in company.breaks()}

    (patient, some), (hasty, more), (again, same) = run(5), run(0), run(5)
    assert len(some) < len(more)
    assert same == some
    assert (again.run_id, again.created) == (patient.run_id, True)
    assert patient.ordinal < hasty.ordinal < again.ordinal
    assert [result.record_seq for result in (patient, hasty, again)] == sorted(
        {result.record_seq or 0 for result in (patient, hasty, again)}
    )
    assert again.counts["merge"]["closed"] == len(more) - len(some)
    assert again.manifest["outputs"] == patient.manifest["outputs"]
    once_more, _ = run(5)
    assert (once_more.created, once_more.record_seq) == (False, again.record_seq)


def test_an_empty_book_and_a_strange_break_id_get_clear_answers(runtime: Runtime) -> None:
    with pytest.raises(InvalidInput, match="nothing to reconcile"):
        reconcile(runtime)
    with runtime.engine.connect() as connection:
        for wrong in ("zz", "abc", "not-hex-at-all"):
            with pytest.raises(InvalidInput):
                find_break(connection, "main", wrong)
        with pytest.raises(NotFound):
            find_break(connection, "main", "0123456789ab")
        with pytest.raises(InvalidInput):
            list_breaks(connection, "main", status="snoozed")


def effective(entry: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["effective_at"].replace("Z", "+00:00")).astimezone(UTC)
