"""Large reports over the same days: what they are to each other is found by joins of whole sets, never row by row."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import event

from ledger_core.base.engine import make_engine

pytestmark = pytest.mark.integration
ROWS = 40_000
"""Row by row that is 1,600 million pairs, some minutes; as sets it is under a second."""


def analyse(database_url: str) -> None:
    engine = make_engine(database_url, role="login")
    with engine.begin() as connection:
        connection.exec_driver_sql("analyze raw.stripe_report_payout_reconciliation")
    engine.dispose()


def test_large_reports_of_the_same_days_are_told_apart_as_sets(landing, database_url: str, tmp_path: Path) -> None:
    event.listen(
        landing.engine, "begin", lambda connection: connection.exec_driver_sql("set statement_timeout = '20s'")
    )
    report, *others = (landing.report(tmp_path / f"{at}.csv", ROWS, start=at * ROWS) for at in range(3))
    later = tmp_path / "later.csv"
    header, _, *rest = report.read_text().splitlines(keepends=True)
    later.write_text(
        "".join([header, *rest, rest[-1].replace(f"txn_{ROWS - 1}", f"txn_{3 * ROWS}").replace("01 1", "02 1")])
    )

    for path in (report, *others, later):
        [landed] = landing.land(path)
        assert landed.error is None
        # What was known of the table before a file came says that there is no row of it.
        analyse(database_url)

    replaced = landing.rows(
        "select older.name as older, newer.name as newer from raw.file_replacements as pairs"
        " inner join raw.files as older on older.file_id = pairs.older_id"
        " inner join raw.files as newer on newer.file_id = pairs.newer_id"
    )
    assert replaced == [{"older": "0.csv", "newer": "later.csv"}]
