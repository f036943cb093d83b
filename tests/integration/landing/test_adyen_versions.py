"""Settlement reports over the same days: versions of one another by ids of several columns, or parts of one batch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ingest.landing import relations
from ingest.sources.adyen_settlement.contract import CONTRACT, ITEMS
from tests.unit.ingest.adyen_report import Row, line, payment, payout, report

pytestmark = pytest.mark.integration


def landed(landing: Any, folder: Path, name: str, *rows: Row) -> Any:
    (folder / name).write_text(report(rows))
    [file] = landing.land(folder / name, source="adyen_settlement")
    assert file.error is None
    return file


def replaced(landing: Any) -> list[tuple[str, str, str, str]]:
    return [
        tuple(str(value) for value in row.values())
        for row in landing.rows(
            "select older.name as older, newer.name as newer, pairs.first_on, pairs.last_on"
            " from raw.file_replacements as pairs"
            " inner join raw.files as older on older.file_id = pairs.older_id"
            " inner join raw.files as newer on newer.file_id = pairs.newer_id"
        )
    ]


@pytest.mark.parametrize("order", [("first.csv", "again.csv"), ("again.csv", "first.csv")])
def test_a_report_that_goes_on_with_a_batch_replaces_the_one_before_whichever_landed_first(
    landing: Any, tmp_path: Path, order: tuple[str, str]
) -> None:
    first = [payment(1), payment(2, creation_date="2026-10-06 01:00:00")]
    files = {"first.csv": first, "again.csv": [*reversed(first), payout("19.52")]}
    for name in order:
        landed(landing, tmp_path, name, *files[name])
    # One in the morning in Amsterdam's summer is the day before's in UTC.
    assert replaced(landing) == [("first.csv", "again.csv", "2026-10-05", "2026-10-05")]


def test_days_are_those_of_booking_in_the_zone_beside_them(landing: Any, tmp_path: Path) -> None:
    booked = {"booking_date": "2026-10-07 18:00:00", "booking_date_timezone": "PDT"}
    first = [payment(1, **booked), payment(2, booking_date="2026-10-07 10:00:00", booking_date_timezone="")]
    landed(landing, tmp_path, "first.csv", *first)
    landed(landing, tmp_path, "again.csv", *first, payment(3, **booked))
    assert replaced(landing) == [("first.csv", "again.csv", "2026-10-07", "2026-10-08")]


def test_two_parts_of_a_batch_are_no_versions_of_one_another(landing: Any, tmp_path: Path) -> None:
    """The same payment may have been captured in part in one and in part in the other; lines of the batch have no
    reference."""
    landed(landing, tmp_path, "one.csv", payment(1), payment(2), line("Fee", "-1.00", "Fees of September"))
    rest = payment(1, modification_reference="9900000000000101", creation_date="2026-10-06 10:00:00")
    landed(
        landing,
        tmp_path,
        "two.csv",
        rest,
        line("Fee", "-1.00", "Fees of October"),
        payout("27.28", creation_date="2026-10-07 09:00:00"),
    )
    assert replaced(landing) == []


def test_a_batch_of_another_account_is_another_batch(landing: Any, tmp_path: Path) -> None:
    landed(landing, tmp_path, "eu.csv", payment(1), payout("9.76"))
    landed(landing, tmp_path, "us.csv", payment(1, merchant_account="KontorUS"), payout("9.76", merchant="KontorUS"))
    assert replaced(landing) == []


def test_what_is_asked_for_a_row_that_names_no_zone_of_its_booking(landing: Any, tmp_path: Path) -> None:
    landed(landing, tmp_path, "one.csv", payment(1, creation_date="2026-10-06 00:30:00"))
    day = relations._day(ITEMS)
    query = (
        f"select {day} as day from raw.adyen_settlement_items as r inner join raw.files as f on f.file_id = r.file_id"
    )
    assert [str(row["day"]) for row in landing.rows(query)] == ["2026-10-05"]


def test_ids_of_several_columns_are_never_compared_pair_by_pair(landing: Any, tmp_path: Path) -> None:
    for at in range(2):
        landed(landing, tmp_path, f"{at}.csv", *(payment(at * 300 + number) for number in range(300)))
    with landing.engine.begin() as connection:
        cursor = connection.connection.driver_connection.cursor()
        relations.note_relations(cursor, CONTRACT, ITEMS, file_id=uuid4())
        cursor.execute("explain " + relations._replacement(ITEMS), {"older": uuid4(), "newer": uuid4()})
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert re.search(r"Join Filter: .*psp_reference", plan) is None
    assert "psp_reference" in plan
