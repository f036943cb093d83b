"""What a file says of itself is recorded and shown: its own time, its days, its zone, the sign of its payouts."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from ingest.landing.land import land
from ledger_core.errors import InvalidInput
from ledger_core.settings import Settings

pytestmark = pytest.mark.integration

PAYOUTS = (
    "payout_id,effective_at,currency,gross,fee,net,reporting_category,balance_transaction_id,"
    "payout_expected_arrival_date"
)
ITEMS = (
    "automatic_payout_id,automatic_payout_effective_at,balance_transaction_id,created,currency,gross,fee,net,"
    "reporting_category"
)


def test_a_report_without_columns_in_utc_is_read_in_the_zone_of_the_setting_and_says_so(landing, tmp_path):
    items, payouts = tmp_path / "items.csv", tmp_path / "payouts.csv"
    items.write_text(f"{ITEMS}\npo_1,2026-10-06 00:00:00,txn_a,2026-10-01 22:30:00,eur,9.00,0.00,9.00,charge\n")
    payouts.write_text(f"{PAYOUTS}\npo_1,2026-10-05 23:30:00,eur,-9.00,0.00,-9.00,payout,txn_p,2026-10-06\n")
    by_default = landing.land(items, payouts)
    assert {file.time_zone for file in by_default} == {"UTC"}
    assert "read as UTC (the default)" in by_default[0].warnings[0]
    landing.settings = Settings(
        home_path=tmp_path / "home", ingest={"time_zones": {"stripe_report": "America/New_York"}}
    )
    first, second = landing.land(items, payouts, account="acct_2")
    assert "read as America/New_York (the setting of this source)" in first.warnings[0]
    assert (first.covers_from, first.document_at) == (date(2026, 10, 6), datetime(2026, 10, 6, 4, tzinfo=UTC))
    assert (second.covers_from, second.payouts_sign) == (date(2026, 10, 6), "balance")
    rows = landing.rows(
        "select time_zone, time_zone_said_by, first_on from raw.files where account = 'acct_2' order by 3"
    )
    assert rows[0] == {"time_zone": "America/New_York", "time_zone_said_by": "setting", "first_on": date(2026, 10, 2)}


def test_a_row_without_the_time_that_stands_in_is_put_aside(landing, tmp_path):
    path = tmp_path / "items.csv"
    path.write_text(
        f"{ITEMS}\n,,txn_a,,eur,9.00,0.00,9.00,charge\n,,txn_b,2026-10-01 10:00:00,eur,9.00,0.00,9.00,charge\n"
    )
    [file] = landing.land(path)
    assert (file.accepted, file.quarantined_rows) == (1, ((2, "column created is empty."),))


def test_a_report_without_any_of_its_times_is_refused_with_what_to_do(landing, tmp_path):
    path = tmp_path / "items.csv"
    path.write_text(ITEMS.replace(",created", "") + "\n")
    [file] = landing.land(path)
    assert "the header lacks created_utc" in file.error.message
    assert "created will do" in file.error.remedy


def test_the_interval_that_a_provider_was_asked_for_is_checked_stored_and_shown(landing, tmp_path):
    path = landing.report(tmp_path / "r.csv", day="2026-10-05")
    asked = (date(2026, 10, 1), date(2026, 10, 9))
    [file] = landing.land(path, interval=asked)
    assert (file.covers_from, file.covers_to) == asked
    assert file.document_at == datetime(2026, 10, 10, tzinfo=UTC)
    [row] = landing.rows("select interval_from, interval_to from raw.files")
    assert tuple(row.values()) == asked
    [outside] = landing.land(path, interval=(date(2026, 10, 6), None), account="acct_2")
    assert "no row lies in it" in outside.error.message
    [refused] = landing.rows("select first_on, record_type from raw.refused_files")
    assert refused == {"first_on": date(2026, 10, 6), "record_type": "payout_reconciliation"}
    wide = landing.report(tmp_path / "w.csv", day="2026-10-05")
    wide.write_text(wide.read_text() + landing.report(path, 1, day="2026-10-08", start=9).read_text().split("\n", 1)[1])
    [partly] = landing.land(wide, interval=(None, date(2026, 10, 6)), account="acct_3")
    assert partly.warnings == (
        "rows of 2026-10-05 to 2026-10-08 in a file that covers ... to 2026-10-06 (`--from`, `--to`).",
    )
    for wrong in ((date(2026, 10, 9), date(2026, 10, 1)), (None, date(2026, 11, 2))):
        with pytest.raises(InvalidInput, match="--from"):
            land(landing, source="stripe_report", paths=[path], interval=wrong)


def test_a_zone_that_there_is_not_is_no_setting():
    with pytest.raises(ValueError, match="no time zone 'Mars/Olympus'"):
        Settings(ingest={"time_zones": {"stripe_report": "Mars/Olympus"}})
