"""A time beside which its zone stands is one instant, whether Python reads it or SQL."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import available_timezones

import pytest

from ingest.contract.zones import OFFSETS, SHARED, zone_of

pytestmark = pytest.mark.integration
TIMES = [datetime(2026, 1, 5, 0, 30), datetime(2026, 7, 5, 23, 45), datetime(1999, 12, 31, 23, 59, 59)]  # noqa: DTZ001


def test_python_and_sql_read_every_label_distance_and_name_alike(landing) -> None:
    asked = [(label, None) for label in (*OFFSETS, "GMT+08:00", "UTC-03:30", "+14:00", "-00:30")]
    asked += [(label, zone) for label, zones in SHARED.items() for zone in zones]
    asked += [(name, None) for name in sorted(available_timezones()) if zone_of(name, chosen=None) is not None]
    assert len(asked) > 400
    wrong = []
    with landing.engine.connect() as connection:
        cursor = connection.connection.driver_connection.cursor()
        for label, zone in asked:
            for time in TIMES:
                cursor.execute("select raw.zoned_instant(%s, %s, %s)", (time, label, zone))
                said = cursor.fetchone()[0]
                if said != time.replace(tzinfo=zone_of(label, chosen=zone)).astimezone(UTC):
                    wrong.append((label, zone, time, said))
    assert wrong == []


def test_no_time_is_no_instant(landing) -> None:
    [row] = landing.rows(
        "select raw.zoned_instant(null, 'PST', 'UTC') as of_nothing,"
        " raw.zoned_instant(now()::timestamp, null, null) as nowhere"
    )
    assert row == {"of_nothing": None, "nowhere": None}


def test_what_reads_instants_is_planned_with_the_function_in_it(landing) -> None:
    """A call a row would cost more than the rest of the scan."""
    plan = landing.rows(
        "explain (verbose) select raw.zoned_instant(creation_date::timestamp, timezone, 'UTC')"
        " from raw.adyen_settlement_items"
    )
    text = str(plan)
    assert "zoned_instant" not in text
    assert "zone_offset" not in text
