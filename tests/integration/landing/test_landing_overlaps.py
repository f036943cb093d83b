"""Reports over the same days: what they are to each other is found by joins of whole sets, never row by row."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

import pytest

from ingest.landing import relations
from ingest.sources import find_source

pytestmark = pytest.mark.integration
ROWS = 300


def test_reports_of_the_same_days_are_told_apart_by_their_ids(landing, tmp_path: Path) -> None:
    report, *others = (landing.report(tmp_path / f"{at}.csv", ROWS, start=at * ROWS) for at in range(3))
    later = tmp_path / "later.csv"
    header, _, *rest = report.read_text().splitlines(keepends=True)
    added = rest[-1].replace(f"txn_{ROWS - 1}", f"txn_{3 * ROWS}").replace("01 1", "02 1")
    later.write_text("".join([header, *rest, added]))

    for path in (report, *others, later):
        [landed] = landing.land(path)
        assert landed.error is None

    replaced = landing.rows(
        "select older.name as older, newer.name as newer from raw.file_replacements as pairs"
        " inner join raw.files as older on older.file_id = pairs.older_id"
        " inner join raw.files as newer on newer.file_id = pairs.newer_id"
    )
    assert replaced == [{"older": "0.csv", "newer": "later.csv"}]


def test_ids_are_never_compared_pair_by_pair(landing, tmp_path: Path) -> None:
    landing.land(*(landing.report(tmp_path / f"{at}.csv", ROWS, start=at * ROWS) for at in range(2)))
    contract = find_source("stripe_report").contract
    record_type = next(each for each in contract.record_types if each.identified_by == "balance_transaction_id")

    def plan(cursor) -> str:
        # Files that the planner knows nothing of, as those that came a moment ago are.
        files = {"older": uuid4(), "newer": uuid4()}
        cursor.execute("explain " + relations._replacement(record_type), files)
        return "\n".join(row[0] for row in cursor.fetchall())

    pair_by_pair = r"Join Filter: \(o\w*\.balance_transaction_id = n\w*\.balance_transaction_id\)"
    with landing.engine.begin() as connection:
        cursor = connection.connection.driver_connection.cursor()
        assert re.search(pair_by_pair, plan(cursor)), "left alone the planner loops over pairs"
        relations.note_relations(cursor, contract, record_type, file_id=uuid4())
        assert re.search(pair_by_pair, plan(cursor)) is None
