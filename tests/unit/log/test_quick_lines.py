"""What is almost a plain entry: the quick way neither takes it nor breaks on it, and the slow way names it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ledger_core.log.quick import is_plain, match_block
from ledger_core.log.stream import RecordStream

ODD = 30
SIZE = 60

LETTERS: dict[str, tuple[bytes, bytes]] = {
    "the_hour_of_effective_at": (rb'"effective_at":"....-..-..T..', '"effective_at":"é2026-11-22T'.encode()),
    "the_hour_of_recorded_at": (rb'"recorded_at":"....-..-..T..', '"recorded_at":"é2026-11-22T'.encode()),
    "the_id": (rb'"id":"..', '"id":"é'.encode()),
    "prev": (rb'"prev":"..', '"prev":"é'.encode()),
}

TIMES: dict[str, bytes] = {
    "quotes": b'"' * 13,
    "another_member": b'2026","z":"12',
    "a_newline": b"2026-01-31T\n0",
    "no_day": b"2026-02-30T08",
}


def lines_of(archive: Any, odd: bytes | None = None) -> list[bytes]:
    """Return the lines of the log; those after an odd one name it as their predecessor."""
    log = archive.log
    if odd is not None:
        del log.lines[ODD:]
        log.lines.append(odd)
        log.fill(SIZE)
    return list(log.lines)


def told(lines: list[bytes], batch: int, first: int = 1) -> tuple[Any, ...]:
    stream = RecordStream()
    stream.feed(lines[:first])
    for start in range(first, len(lines), batch):
        stream.feed(lines[start : start + batch])
    failures = [(item.verdict, item.seq) for item in stream.close(next_seq=len(lines))]
    return failures, stream.totals(), stream.entries, stream.frontier.root()


def assert_seen(lines: list[bytes]) -> None:
    """See that a batch with an odd line is judged as its records alone are, and that the odd one is named."""
    assert_same(lines)
    assert ("not_canonical", ODD) in told(lines, 1)[0]


def assert_same(lines: list[bytes]) -> None:
    alone = told(lines, 1)
    for first in (1, ODD, ODD - 10):
        assert told(lines, len(lines), first) == alone


def test_the_log_that_is_changed_here_is_sound(archive: Any) -> None:
    lines = lines_of(archive)
    assert_same(lines)
    assert not told(lines, SIZE)[0]
    assert is_plain(lines[ODD], "main")


@pytest.mark.parametrize("name", LETTERS)
def test_a_letter_beyond_ascii_amid_a_batch_is_named(archive: Any, name: str) -> None:
    odd = re.sub(*LETTERS[name], archive.log.lines[ODD], count=1)
    assert len(odd) == len(archive.log.lines[ODD])
    assert not is_plain(odd, "main")
    assert_seen(lines_of(archive, odd))


@pytest.mark.parametrize("member", ["effective_at", "recorded_at"])
@pytest.mark.parametrize("name", TIMES)
def test_a_time_that_is_no_hour_of_the_calendar_is_not_plain(archive: Any, member: str, name: str) -> None:
    given = json.loads(archive.log.lines[ODD])
    time = given[member] if member in given else given["body"][member]
    mark = f'"{member}":"'.encode()
    odd = archive.log.lines[ODD].replace(mark + time[:13].encode(), mark + TIMES[name], 1)
    assert odd != archive.log.lines[ODD]
    assert not is_plain(odd, "main")
    assert_same(lines_of(archive, odd))


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"junk\n", b""), (b"\n", b""), (b"", b"\n"), (b"", b"\n" * 30), (b"", b"\njunk"), (b"x\n" * 30, b"")],
)
def test_a_stored_record_that_holds_a_newline_is_no_record(archive: Any, before: bytes, after: bytes) -> None:
    assert_seen(lines_of(archive, before + archive.log.lines[ODD] + after))


def test_a_stored_record_of_other_lines_alone_is_no_record(archive: Any) -> None:
    assert_seen(lines_of(archive, b"x\n" * 30))
    assert_seen(lines_of(archive, b"\n" * 600))


def test_two_entries_stored_as_one_record_are_no_record(archive: Any) -> None:
    lines = archive.log.lines
    assert_seen(lines_of(archive, lines[ODD] + b"\n" + lines[ODD + 1]))


def test_records_that_were_parted_elsewhere_than_between_them_are_no_records(archive: Any) -> None:
    lines = list(archive.log.lines)
    text = b"\n".join(lines[ODD : ODD + 2])
    # As many entries as there are records: two in one, none in the other.
    lines[ODD : ODD + 2] = [text, b""]
    assert_same(lines)
    assert told(lines, SIZE)[0]


def test_a_block_with_anything_between_its_lines_goes_the_slow_way(archive: Any) -> None:
    lines = archive.log.lines[1:20]
    assert match_block(b"\n".join(lines) + b"\n", len(lines), "main") is not None
    assert match_block(b"junk\n" + b"\n".join(lines) + b"\n", len(lines), "main") is None
    assert match_block(b"\n".join(lines) + b"\njunk", len(lines), "main") is None
