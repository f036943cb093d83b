"""A month of which the banks' side comes in MT940 or in BAI2: it is matched as by camt.053, and never counted twice."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingest.landing.land import land
from ingest.sources.camt053.parse import parse
from ledger_core.actor import Actor
from ledger_core.files.chart import apply_chart_file
from ledger_core.files.entries import post_file
from ledger_core.runtime import Runtime
from reconciliation.runs.run import RunResult, reconcile
from sample.model import SampleSummary
from sample.writer import make_sample
from tests.fixtures.bank_formats import DECIMALS, Entry, Statement, bai2, mt940

pytestmark = pytest.mark.integration
ACTOR = Actor(subject="test")
FORMATS: dict[str, Callable[..., bytes]] = {"mt940": mt940, "bai2": bai2}


@pytest.fixture
def company(runtime: Runtime, tmp_path: Path) -> tuple[Runtime, Path, SampleSummary]:
    folder = tmp_path / "sample"
    summary = make_sample(folder, days=10, per_day=40, seed=5, clean=True)
    apply_chart_file(runtime, folder / "accounts.yaml", book="main", actor=ACTOR)
    post_file(runtime.ledger("main"), runtime.engine, folder / "entries.jsonl", actor=ACTOR)
    land(runtime, source="stripe_report", paths=[folder / "stripe"], book="main")
    return runtime, folder, summary


def statements_of(folder: Path) -> list[Statement]:
    """Return the statements of the sample's banks, each account numbered on."""
    found: list[Statement] = []
    numbers: defaultdict[str, Any] = defaultdict(lambda: itertools.count(1))
    for path in sorted((folder / "bank").glob("*.xml")):
        entries: defaultdict[int, list[Entry]] = defaultdict(list)
        with path.open("rb") as stream:
            for batch in parse(stream, name=path.name).batches():
                for values in batch.rows:
                    row: dict[str, Any] = dict(zip(batch.columns, values, strict=True))
                    if row.get("status", "BOOK") != "BOOK":
                        continue
                    if batch.table.endswith("lines"):
                        entries[row["statement_ordinal"]].append(_entry(row))
                    else:
                        number = next(numbers[row["account_iban"] + row["currency"]])
                        ordinal = sum(each.id.startswith(path.stem) for each in found) + 1
                        found.append(_statement(row, tuple(entries[ordinal]), f"{path.stem}{ordinal}", number))
    return found


def _entry(row: dict[str, Any]) -> Entry:
    return Entry(
        minor=_minor(row["amount"], row["currency"], row["indicator"]),
        booked_on=date.fromisoformat(row["booked_on"] or row["value_on"]),
        text=row["remittance"] or row["additional_info"] or "",
        name=row["counterparty_name"] or "",
        end_to_end=row["end_to_end_id"] or "",
        bank_reference=row["account_servicer_reference"] or "",
        reversal=row["is_reversal"] == "true",
    )


def _statement(row: dict[str, Any], entries: tuple[Entry, ...], name: str, number: int) -> Statement:
    return Statement(
        account=row["account_iban"],
        currency=row["currency"],
        opening=_minor(row["opening_amount"], row["currency"], row["opening_indicator"]),
        day=date.fromisoformat(row["closing_on"][:10]),
        entries=entries,
        id=name,
        number=number,
    )


def _minor(amount: str, currency: str, side: str) -> int:
    minor = int(Decimal(amount).scaleb(DECIMALS.get(currency, 2)))
    return minor if side == "CRDT" else -minor


def land_all(runtime: Runtime, folder: Path, source: str, statements: Sequence[Statement]) -> None:
    """Land a file for each statement, as banks send them."""
    target = folder / source
    target.mkdir()
    for place, each in enumerate(statements):
        (target / f"{place:03d}.txt").write_bytes(FORMATS[source](each))
    for landed in land(runtime, source=source, paths=[target], book="main"):
        assert landed.status == "landed", landed.error
        assert landed.quarantined == 0, landed.quarantined_rows
        assert all(total.passed for total in landed.control_totals), landed.control_totals


def matches(runtime: Runtime) -> list[tuple[str, str, bool]]:
    """Return each payout that met money at a bank: its id, how much came, and whether that is all."""
    with runtime.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "select psp_key, bank_amount_minor::text, is_equal from analytics.fct_matches where leg = 'B'"
        )
        return sorted(tuple(row) for row in rows)


def lines(runtime: Runtime) -> list[tuple[str, str, str]]:
    """Return account, day and amount of every line that counts."""
    with runtime.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "select account_iban, booked_on::text, amount_minor::text from analytics.int_bank_lines_current"
        )
        return sorted(tuple(row) for row in rows)


def run(runtime: Runtime, summary: SampleSummary) -> RunResult:
    return reconcile(runtime, to=summary.as_of)


def test_a_month_in_every_format_of_a_bank_is_matched_alike_and_counts_once(
    company: tuple[Runtime, Path, SampleSummary],
) -> None:
    runtime, folder, summary = company
    statements = statements_of(folder)
    assert sum(len(each.entries) for each in statements) > 20

    land_all(runtime, folder, "mt940", statements)
    by_mt940 = run(runtime, summary)
    assert (by_mt940.verdict, by_mt940.reasons) == ("reconciled", ())
    of_mt940 = matches(runtime), lines(runtime)
    assert of_mt940[0]
    assert all(equal for _, _, equal in of_mt940[0])

    # The same days by another way: what the bank states twice counts once, whichever came first.
    land_all(runtime, folder, "bai2", statements)
    by_two = run(runtime, summary)
    assert (by_two.verdict, by_two.reasons) == ("reconciled", ())
    assert (matches(runtime), lines(runtime)) == of_mt940

    land(runtime, source="camt053", paths=[folder / "bank"], book="main")
    by_three = run(runtime, summary)
    assert (by_three.verdict, by_three.reasons) == ("reconciled", ())
    assert (matches(runtime), lines(runtime)) == of_mt940


def test_an_account_may_go_over_from_one_format_to_another(company: tuple[Runtime, Path, SampleSummary]) -> None:
    runtime, folder, summary = company
    statements = statements_of(folder)
    days = sorted({each.day for each in statements})
    middle = days[len(days) // 2]
    land_all(runtime, folder, "mt940", [each for each in statements if each.day <= middle])
    # For some days both come.
    later = [path for path in sorted((folder / "bank").glob("*.xml")) if path.stem[-10:] >= str(days[len(days) // 3])]
    land(runtime, source="camt053", paths=later, book="main")
    result = run(runtime, summary)
    assert (result.verdict, result.reasons) == ("reconciled", ())
    assert len(lines(runtime)) == sum(len(each.entries) for each in statements)


def test_a_month_in_bai2_alone_is_matched(company: tuple[Runtime, Path, SampleSummary]) -> None:
    runtime, folder, summary = company
    land_all(runtime, folder, "bai2", statements_of(folder))
    result = run(runtime, summary)
    assert (result.verdict, result.reasons) == ("reconciled", ())
    assert matches(runtime)
