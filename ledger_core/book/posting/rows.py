"""Rows in Postgres' binary COPY format, built by concatenation.

Binary, because hex text doubles the canonical bytes and costs the server a parse of every field. Whatever of
a row does not depend on the place in the log is built on the caller's thread; under the lock only seq,
account id and id go in. Format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from struct import Struct

from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.log.commitments import PrivateValue

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = b"\xff\xff"

_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
POSTGRES_EPOCH_MICROSECONDS = 946_684_800_000_000
"""Microseconds from 1970 to 2000, where Postgres' own count starts."""

RECORDS_COPY = "copy ledger.records (book, seq, kind, recorded_at, leaf_hash, canonical) from stdin (format binary)"
ENTRIES_COPY = (
    "copy ledger.entries (book, seq, id, external_id, effective_at, description, metadata, reverses, corrects) "
    "from stdin (format binary)"
)
POSTINGS_COPY = (
    "copy ledger.postings (book, seq, line, account_id, direction, amount_minor, currency, effective_at) "
    "from stdin (format binary)"
)

PRIVATE_KEYS_COPY = "copy ledger.private_keys (book, seq, name, salt, key) from stdin (format binary)"
PRIVATE_VALUES_COPY = "copy ledger.private_values (book, seq, name, sealed) from stdin (format binary)"

_NULL = b"\xff\xff\xff\xff"
_LENGTH = Struct(">I")
_TIME_AND_LENGTH = Struct(">IqI")
_POSTING_SUFFIX = Struct(">qI3sIq")


class RowWriter:
    """Builds rows of one book."""

    def __init__(self, book: str) -> None:
        self.book = book
        name = book.encode()
        self._book = _field(name)
        self._records: dict[str, tuple[Struct, bytes, bytes]] = {}
        start = b"\x00\x09" + self._book + b"\0\0\0\x08"
        self._entry_start = start
        self._entry = Struct(f">{len(start)}sqI16s")
        start = b"\x00\x08" + self._book + b"\0\0\0\x08"
        self._posting_start = start
        self._posting = Struct(f">{len(start)}sqIhIi")

    def record(self, seq: int, kind: str, micros: int, leaf: bytes, canonical: bytes) -> bytes:
        """Return a row of `records`; `micros` counts from 2000."""
        made = self._records.get(kind)
        if made is None:
            start = b"\x00\x06" + self._book + b"\0\0\0\x08"
            middle = _field(kind.encode()) + b"\0\0\0\x08"
            made = (Struct(f">{len(start)}sq{len(middle)}sqI32sI"), start, middle)
            self._records[kind] = made
        layout, start, middle = made
        return layout.pack(start, seq, middle, micros, 32, leaf, len(canonical)) + canonical

    def entry(self, seq: int, id: bytes, suffix: bytes) -> bytes:
        """Return a row of `entries` around the `suffix` that `entry_suffix` built."""
        return self._entry.pack(self._entry_start, seq, 16, id) + suffix

    def posting(self, seq: int, line: int, account_id: int, suffix: bytes) -> bytes:
        """Return a row of `postings` around the `suffix` that `posting_suffix` built."""
        return self._posting.pack(self._posting_start, seq, 2, line, 4, account_id) + suffix


def private_rows(book: str, seq: int, private: Sequence[PrivateValue]) -> tuple[bytes, bytes]:
    """Return the rows of `private_keys` and of `private_values` of the entry at `seq`."""
    place = _field(book.encode()) + _field(seq.to_bytes(8))
    named = [(place + _field(item.name.encode()), item) for item in private]
    return (
        b"".join(b"\x00\x05" + start + _field(item.salt) + _field(item.key) for start, item in named),
        b"".join(b"\x00\x04" + start + _field(item.sealed) for start, item in named),
    )


def entry_suffix(draft: EntryDraft, metadata: bytes, micros: int) -> bytes:
    """Return the fields of an entry's row from `external_id` on; `metadata` is JSON, `micros` its `effective_at`."""
    external_id, description = draft.external_id.encode(), draft.description.encode()
    return b"".join(
        (
            _LENGTH.pack(len(external_id)),
            external_id,
            _TIME_AND_LENGTH.pack(8, micros, len(description)),
            description,
            _LENGTH.pack(len(metadata) + 1),
            b"\x01",  # jsonb's wire form: version 1, then text
            metadata,
            _NULL if draft.reverses is None else _uuid_field(draft.reverses),
            _NULL if draft.corrects is None else _uuid_field(draft.corrects),
        )
    )


def posting_suffix(posting: PostingDraft, micros: int) -> bytes:
    """Return the fields of a posting's row from `direction` on; `micros` is the entry's `effective_at`."""
    return _DIRECTIONS[posting.direction] + _POSTING_SUFFIX.pack(
        posting.amount_minor, 3, posting.currency.encode(), 8, micros
    )


def micros_since_2000(moment: datetime) -> int:
    """Return Postgres' own form of a timestamp."""
    delta = moment - _POSTGRES_EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def copy_data(rows: Sequence[bytes]) -> bytes:
    """Return a whole COPY stream, or nothing for no rows."""
    if not rows:
        return b""
    return b"".join((COPY_HEADER, *rows, COPY_TRAILER))


def _field(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + data


def _uuid_field(text: str) -> bytes:
    return b"\0\0\0\x10" + bytes.fromhex(text.replace("-", ""))


_DIRECTIONS = {side: _field(side.encode()) + b"\0\0\0\x08" for side in ("debit", "credit")}
"""The direction's field and the length of the amount that follows it."""
