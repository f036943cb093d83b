"""A record's time against that of the stamp over its tree."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ledger_core.log.timestamps import said_time, why_late

STAMPED = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("recorded_at", "is_late"),
    [
        ("2026-03-01T12:01:00.000000Z", False),
        ("2026-03-01T12:01:00.000001Z", True),
        ("0001-01-01T00:00:30.000000Z", False),
        ("2026-02-30T00:00:00.000000Z", True),
        ("0000-01-01T00:00:00.000000Z", True),
        ("2026-03-01T12:00:00.000000", True),
        ("", False),
    ],
)
def test_a_record_is_late_that_is_not_known_to_be_older_than_the_stamp(recorded_at: str, is_late: bool) -> None:
    assert bool(why_late(STAMPED, recorded_at)) is is_late
    assert why_late(None, recorded_at) is None


def test_what_is_no_token_says_no_time() -> None:
    assert said_time(b"nonsense") is None
