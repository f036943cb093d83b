"""`contracts check`: what a file is, asked of every source, with no home and no database."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from ingest.landing.checking import explain
from ingest.sources import source_names
from ledger_core.errors import InvalidInput
from sample import PROVIDERS, make_sample
from tests.unit.ingest.paypal_report import row, section, written

COLUMNS = "balance_transaction_id automatic_payout_id created_utc currency gross fee net reporting_category"
HEADER = ",".join([*COLUMNS.split(), "customer_email", "mood"])


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """The command in an environment that names no home and no database."""
    for name in ("COUNTERFOIL_HOME", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, ["contracts", *words], catch_exceptions=False)


def test_a_file_is_explained_by_the_source_that_reads_it(run: Callable[..., Result], tmp_path: Path) -> None:
    rows = [
        "txn_1,po_1,2026-10-01 10:00:00,usd,25.00,0.95,24.05,charge,a@b.c,good",
        "txn_2,po_1,soon,usd,1,0,1,charge,,",
    ]
    (tmp_path / "came.gz").write_bytes(gzip.compress("\n".join([HEADER, *rows, ""]).encode()))

    result = run("check", "came.gz", "--json")

    assert result.exit_code == 0
    [content] = json.loads(result.stdout)
    [reading] = content["readings"]
    assert (reading["source"], reading["record_type"]) == ("stripe_report", "payout_reconciliation")
    assert (reading["read"], reading["accepted"], reading["quarantined"]) == (2, 1, 1)
    assert reading["first_problems"][0][:2] == [3, "bad_date"]
    assert reading["columns"]["kept"] == ["mood"]
    assert reading["columns"]["personal"] == ["customer_email"]
    assert "source_id" in reading["columns"]["missing"]
    assert set(content["refusals"]) == set(source_names()) - {"stripe_report"}
    shown = run("check", "came.gz").stdout
    assert "came.gz: stripe_report, payout_reconciliation" in shown
    assert "2 rows read, 1 would land, 1 would be put aside" in shown
    assert "line 3: bad_date" in shown


def test_totals_are_counted_where_they_hold_and_told_where_they_fail(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    text = written(section([row("1", "T0006", ("CR", "100"))], ("SF", "USD", "999", "0", "0", "0"), ("SC", "1")))
    (tmp_path / "stl.csv").write_text(text)
    shown = run("check", "stl.csv").stdout
    assert "4 control totals hold" in shown
    assert "control total gross_credits of section 1 USD: expected 9.99, found 1.00" in shown


def test_a_file_that_no_source_reads_says_why_of_each(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "strange.csv").write_text("a,b\n1,2\n")
    result = run("check", "strange.csv")
    assert result.exit_code == 1
    assert "no source reads this" in result.stdout
    assert all(f"  {source}: strange.csv" in result.stderr for source in source_names())


def test_one_source_can_be_asked_alone_and_a_strange_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "strange.csv").write_text("a,b\n1,2\n")
    [content] = explain(tmp_path / "strange.csv", sources=("stripe_report",))
    assert set(content.refusals) == {"stripe_report"}
    with pytest.raises(InvalidInput, match="there is no source 'none'"):
        explain(tmp_path / "strange.csv", sources=("none",))


def test_every_file_of_a_sample_is_its_own_source_and_no_other(tmp_path: Path) -> None:
    make_sample(tmp_path / "sample", days=7, per_day=60, seed=5, providers=PROVIDERS)
    deliveries = json.loads((tmp_path / "sample" / "deliveries.json").read_text())
    seen = set()
    for each in deliveries:
        if each["source"] in source_names():
            [content] = explain(tmp_path / "sample" / each["file"])
            assert [reading.source for reading in content.readings] == [each["source"]], each["file"]
            assert all(total.passed for reading in content.readings for total in reading.control_totals)
            seen.add(each["source"])
    assert seen >= {"stripe_report", "adyen_settlement", "paypal_stl", "camt053"}


def test_sources_are_listed_and_shown(run: Callable[..., Result]) -> None:
    listed = json.loads(run("list", "--json").stdout)
    assert [each["source"] for each in listed] == source_names()
    shown = run("show", "paypal_stl").stdout
    assert "scale      x100_always" in shown
    assert "Consumer ID" in shown
    assert "not stored" in shown
