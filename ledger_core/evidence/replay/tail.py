"""The records behind the last segment, from whoever has them: believed as far as the proxy signed over them.

A segment never holds its own `export` record, and the proxy has signed over that: what lies behind the archive's end is
needed before the book can go on. The bytes may come from anywhere (the remains of the lost database, a consumer, the
answers that callers keep), because the root that was signed is the only one that they can come to.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from ledger_core.book.posting.head import HeadRow
from ledger_core.errors import CounterfoilError, IntegrityError, InvalidInput
from ledger_core.log.note import Checkpoint
from ledger_core.log.record import MAX_RECORD_BYTES, format_time, parse_record
from ledger_core.log.shapes import Shape
from ledger_core.log.stream import RecordStream

BATCH_RECORDS = 1_000


def tail_lines(file: Path, head: HeadRow, signed: Checkpoint) -> Iterator[list[bytes]]:
    """Yield the records of `file` from the end of `head` to the size that is `signed`; what is beyond is left.

    Raises `InvalidInput` for a file that is none of records in order, or that leaves a gap, and where none is signed.
    """
    if signed.size < head.size:
        raise InvalidInput(
            f"the signing proxy has signed {signed.size} records, and {head.size} are there without the tail.",
            remedy="Nothing was written, and the proxy's folder went back in time: docs/runbooks/restore.md.",
        )
    batch: list[bytes] = []
    expected = head.size
    for number, line in enumerate(_lines(file), start=1):
        if expected == signed.size:
            break
        try:
            seq = parse_record(line).seq
        except CounterfoilError as error:
            raise error.located(file=str(file), line=number) from error
        if seq < expected and expected == head.size:
            continue
        if seq != expected:
            raise InvalidInput(
                f"the record of seq {seq} stands where {expected} is expected.",
                file=str(file),
                line=number,
                remedy=f"Give the records from seq {head.size} to {signed.size - 1} in order, one a line.",
            )
        batch.append(line)
        expected += 1
        if len(batch) == BATCH_RECORDS:
            yield batch
            batch = []
    if expected < signed.size:
        raise InvalidInput(
            f"it ends at seq {expected - 1}, and {signed.size} records are signed.",
            file=str(file),
            remedy=f"Give all records from seq {head.size} to {signed.size - 1}.",
        )
    yield batch


class TailStream:
    """Holds the records of a tail against the root that was signed, by the verifier's own stream."""

    def __init__(self, book: str, head: HeadRow, signed: Checkpoint, shapes: Mapping[str, Shape]) -> None:
        self._signed = signed
        self._stream = RecordStream(frontier=head.frontier, prev=head.last_leaf, book=book, shapes=shapes)
        if head.last_recorded_at is not None:
            self._stream.recorded_at = format_time(head.last_recorded_at)

    def feed(self, lines: list[bytes]) -> None:
        """Take the next records."""
        self._stream.feed(lines)

    def require_signed(self, file: Path) -> None:
        """Raise `IntegrityError` unless all that was fed comes to the signed root, and nothing of it breaks a rule."""
        signed = self._signed
        holds = self._stream.size == signed.size and self._stream.frontier.root() == signed.root
        failures = self._stream.close(next_seq=signed.size, root_holds=holds)
        if holds and not failures:
            return
        why = str(failures[0]) if failures else "they come to another root"
        raise IntegrityError(
            f"the records in {file} are not those that the signing proxy signed at size {signed.size}: {why}.",
            remedy="Nothing was written. Give the bytes as they were recorded, one record a line.",
            finding="root_mismatch",
        )


def _lines(file: Path) -> Iterator[bytes]:
    opened = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rb") as source:
            while line := source.readline(MAX_RECORD_BYTES + 2):
                if text := line.rstrip(b"\n"):
                    yield text
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput(f"it cannot be read: {error}.", file=str(file)) from error
