"""Records: assembled as canonical bytes, parsed strictly, times in one form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ledger_core.errors import InvalidInput, NotCanonical, UnknownSchema
from ledger_core.log import record as record_module
from ledger_core.log.canonical import canonical_bytes, parse_strict
from ledger_core.log.record import NO_PREV, assemble, check_frame, format_time, parse_record, parse_time

MEMBERS: dict[str, Any] = {
    "body": b'{"actor":{"role":"service","subject":"x"}}',
    "book": "main",
    "id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "kind": "security_event",
    "prev": NO_PREV,
    "recorded_at": "2026-01-31T23:59:59.123456Z",
    "seq": 7,
}


def test_assembled_bytes_are_canonical_and_parse_back() -> None:
    data = assemble(**MEMBERS)
    assert canonical_bytes(parse_strict(data)) == data
    record = parse_record(data)
    assert (record.seq, record.kind, record.book, record.prev) == (7, "security_event", "main", NO_PREV)
    assert str(record.id) == MEMBERS["id"]
    assert record.body == {"actor": {"role": "service", "subject": "x"}}


def test_a_frame_without_a_member_of_the_list_or_with_one_more_is_refused() -> None:
    for members in (record_module.MEMBERS[:-1], (*record_module.MEMBERS, "tenant")):
        with pytest.raises(AssertionError, match="is written"):
            check_frame(members)


def test_a_frame_out_of_canonical_order_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_module, "SCHEMA", 'cf/1","a":"')
    with pytest.raises(AssertionError, match="canonical order"):
        check_frame(record_module.MEMBERS)


def test_a_record_beyond_the_limit_is_refused() -> None:
    body = b'{"a":"%b"}' % (b"x" * 65_535)
    with pytest.raises(InvalidInput, match="65535"):
        assemble(**{**MEMBERS, "body": body})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"seq":7', b'"seq":"7"'),
        (b'"seq":7', b'"seq":-7'),
        (b'"kind":"security_event"', b'"kind":"Security"'),
        (b'"book":"main"', b'"book":"../main"'),
        (b"01890a5d", b"01890A5D"),
        (b"00" * 32, b"00" * 31),
        (b"23:59:59.123456Z", b"24:59:59.123456Z"),
        (b"23:59:59.123456Z", b"23:59:59.123Z"),
        (b"2026-01-31T", b"2026-02-31T"),
        (b"2026-01-31T", b"0000-01-31T"),
        (b'"prev"', b'"prex"'),
        (b',"seq":7', b""),
        (b'"seq":7', b'"seq":7,"z":1'),
        (b'"body":{"actor":{"role":"service","subject":"x"}}', b'"body":[]'),
    ],
)
def test_a_malformed_member_is_refused(old: bytes, new: bytes) -> None:
    data = assemble(**MEMBERS).replace(old, new)
    assert data != assemble(**MEMBERS)
    with pytest.raises(InvalidInput):
        parse_record(data)


def test_another_schema_is_unknown_and_not_wrong() -> None:
    with pytest.raises(UnknownSchema):
        parse_record(assemble(**MEMBERS).replace(b"cf/1", b"cf/2"))


def test_white_space_is_not_canonical() -> None:
    with pytest.raises(NotCanonical):
        parse_record(assemble(**MEMBERS).replace(b'"seq":7', b'"seq": 7'))


def test_times_are_written_in_utc_with_six_digits() -> None:
    moment = datetime(2026, 1, 31, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(moment) == "2026-01-30T23:02:03.000000Z"
    assert parse_time("2026-01-30T23:02:03.000000Z") == moment.astimezone(UTC)
    with pytest.raises(InvalidInput):
        format_time(datetime(2026, 1, 1))  # noqa: DTZ001 - the point


@pytest.mark.parametrize("text", ["2026-02-30T00:00:00.000000Z", "2026-01-30T23:02:03Z", "x"])
def test_a_time_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_time(text)
