"""A record: one leaf of a book's log, as bytes.

`{"body":{...},"book","id","kind","prev","recorded_at","schema":"cf/1","seq"}` in canonical form. `prev` is
the leaf hash of the record before (64 zeros at seq 0): a cheap streaming check and never a second path of
proof; the tree decides. The bytes are the truth: they are stored, exported and hashed as they are, never
re-serialised.

Not here: what a body of each kind must hold (`shapes.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from ledger_core.errors import InvalidInput, NotCanonical, UnknownSchema
from ledger_core.log.canonical import MAX_INTEGER, parse_strict

SCHEMA = "cf/1"
MAX_RECORD_BYTES = 65_535
"""C2SP tlog-tiles gives each entry of a bundle a 16-bit length."""
NO_PREV = bytes(32)
"""What seq 0 names as its predecessor."""
MEMBERS = ("body", "book", "id", "kind", "prev", "recorded_at", "schema", "seq")

BOOK_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")
KIND_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
TIME_PATTERN = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z\Z", re.ASCII
)
_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\Z")
_HASH = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record as read from its bytes; `prev` is 32 raw bytes, `recorded_at` the text that was signed."""

    seq: int
    kind: str
    body: dict[str, Any]
    book: str
    id: UUID
    prev: bytes
    recorded_at: str


class Frame:
    """The parts of a record that are the same for every record of one book and kind."""

    def __init__(self, book: str, kind: str) -> None:
        self._after_body = f',"book":"{book}","id":"'
        self._after_id = f'","kind":"{kind}","prev":"'

    def around(self, body: bytes, *, id: str, prev: bytes, recorded_at: str, seq: int) -> bytes:
        """Return the record's canonical bytes around `body`, which must be canonical already.

        Concatenation, because `prev` makes this sequential under the lock of the book's head; everything else
        about a record was worked out before. Raises `InvalidInput` past 65,535 bytes.
        """
        rest = (
            f'{self._after_body}{id}{self._after_id}{prev.hex()}","recorded_at":"{recorded_at}",'
            f'"schema":"{SCHEMA}","seq":{seq}}}'
        )
        data = b'{"body":' + body + rest.encode()
        if len(data) > MAX_RECORD_BYTES:
            raise _too_large(data)
        return data


def assemble(*, body: bytes, book: str, id: str, kind: str, prev: bytes, recorded_at: str, seq: int) -> bytes:
    """Return one record's canonical bytes around `body`, as `Frame.around` does for many."""
    return Frame(book, kind).around(body, id=id, prev=prev, recorded_at=recorded_at, seq=seq)


def check_frame(members: Sequence[str]) -> None:
    """Refuse a list of a record's members that is not what `Frame` writes, in the order that the profile demands.

    Raises `AssertionError`, when this module is imported: a record framed wrongly would be appended for ever.
    """
    probe = assemble(body=b"{}", book="b", id="", kind="k", prev=NO_PREV, recorded_at="", seq=0)
    try:
        written = list(parse_strict(probe))
    except NotCanonical as error:
        raise AssertionError(f"a record's members are not written in canonical order: {error}") from error
    if written != list(members):
        raise AssertionError(f"a record has {', '.join(members)}, and {', '.join(written)} is written.")


def parse_record(data: bytes) -> Record:
    """Return the record in `data`.

    Raises `NotCanonical` for bytes that are not canonical, `UnknownSchema` for another schema, `InvalidInput`
    for a member that is missing, unknown or malformed.
    """
    if len(data) > MAX_RECORD_BYTES:
        raise InvalidInput(f"the record has {len(data)} bytes, the limit is {MAX_RECORD_BYTES}.")
    return record_from(parse_strict(data))


def record_from(value: Any) -> Record:
    """Return the record that the parsed `value` is. Raises as `parse_record` does."""
    if type(value) is not dict:
        raise InvalidInput("a record is a JSON object.", remedy=_REMEDY)
    if value.get("schema", SCHEMA) != SCHEMA:
        raise UnknownSchema(
            f"the schema {value['schema']!r:.40} is not known.",
            pointer="/schema",
            remedy="Use a newer version of this software.",
        )
    if tuple(sorted(value)) != MEMBERS:
        wrong = sorted(set(value) ^ set(MEMBERS))
        raise InvalidInput(f"missing or unknown members: {', '.join(wrong)}.", pointer="/", remedy=_REMEDY)
    _check_text(value, "book", BOOK_PATTERN)
    _check_text(value, "id", _ID)
    _check_text(value, "kind", KIND_PATTERN)
    _check_text(value, "prev", _HASH)
    _check_text(value, "recorded_at", TIME_PATTERN)
    _check_day(value["recorded_at"])
    if type(value["body"]) is not dict:
        raise InvalidInput("the body is not an object.", pointer="/body", remedy=_REMEDY)
    if type(value["seq"]) is not int or not 0 <= value["seq"] <= MAX_INTEGER:
        raise InvalidInput("seq is not a position in a log.", pointer="/seq", remedy=_REMEDY)
    return Record(
        seq=value["seq"],
        kind=value["kind"],
        body=value["body"],
        book=value["book"],
        id=UUID(value["id"]),
        prev=bytes.fromhex(value["prev"]),
        recorded_at=value["recorded_at"],
    )


def format_time(moment: datetime) -> str:
    """Return `moment` as `YYYY-MM-DDTHH:MM:SS.ffffffZ`. Raises `InvalidInput` for a time without a zone."""
    if moment.tzinfo is None:
        raise InvalidInput("a time without a zone.", remedy="Give the offset from UTC.")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_time(text: str) -> datetime:
    """Return the moment that `format_time` wrote. Raises `InvalidInput` for any other form."""
    if TIME_PATTERN.match(text) is None:
        raise InvalidInput(f"{text!r:.40} is not a time.", remedy="Write YYYY-MM-DDTHH:MM:SS.ffffffZ.")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is not a day of the calendar.", remedy="Correct the date.") from error


_REMEDY = "See docs/formats/record.md."


def _too_large(data: bytes) -> InvalidInput:
    return InvalidInput(
        f"the record has {len(data)} bytes, the limit is {MAX_RECORD_BYTES}.",
        remedy="Split the entry, or put bulky evidence elsewhere and record its digest.",
    )


def _check_text(value: dict[str, Any], name: str, pattern: re.Pattern[str]) -> None:
    text = value[name]
    if type(text) is not str or pattern.match(text) is None:
        raise InvalidInput(f"{text!r:.80} is not allowed here.", pointer=f"/{name}", remedy=_REMEDY)


def _check_day(recorded_at: str) -> None:
    """Hold the time against the calendar, as the quick reader does: there are a 31st and a 30th that never were."""
    try:
        parse_time(recorded_at)
    except InvalidInput as error:
        raise InvalidInput(error.message, pointer="/recorded_at", remedy=_REMEDY) from error


check_frame(MEMBERS)
