"""The records of a segment, on their way from the database to a file: exact bytes, constant memory.

Not the decision what belongs into a segment. Every line passes `RecordStream`, the same code that the verifier runs, so
nothing is archived that an auditor could not verify. Compression runs on a second core beside it.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path
from typing import Any, BinaryIO

import psycopg

from ledger_core.base.objects.port import ObjectStore
from ledger_core.errors import IntegrityError, NotFound
from ledger_core.evidence.export.archive import archived_lines
from ledger_core.log.findings import CANNOT_TELL
from ledger_core.log.merkle import Frontier
from ledger_core.log.segment import RECORDS_FILE, Manifest, RecordsWriter, StoredFile
from ledger_core.log.stream import BATCH_RECORDS, RecordStream

READ_BYTES = 1024 * 1024
_GZIP = zlib.MAX_WBITS | 16

Progress = Callable[[int], None]


def record_batches(connection: psycopg.Connection[Any], book: str, first: int, end: int) -> Iterator[list[bytes]]:
    """Yield the bytes of records [first, end) by the thousand, in order of seq, through a server-side cursor."""
    with connection.cursor(name="segment_records") as cursor:
        cursor.execute(
            "select canonical from ledger.records where book = %s and seq >= %s and seq < %s order by seq",
            [book, first, end],
            binary=True,
        )
        while rows := cursor.fetchmany(BATCH_RECORDS):
            yield [row[0] for row in rows]


def write_records(
    batches: Iterable[list[bytes]], stream: RecordStream, target: Path, *, progress: Progress | None = None
) -> StoredFile:
    """Feed `batches` to `stream` and write them to `target`."""
    lines = 0
    with target.open("wb") as sink, ThreadPoolExecutor(max_workers=1) as beside:
        writer = RecordsWriter(sink)
        written: Future[None] | None = None
        for batch in batches:
            if written is not None:
                written.result()
            written = beside.submit(writer.write, batch)
            stream.feed(batch)
            lines += len(batch)
            if progress:
                progress(lines)
        if written is not None:
            written.result()
        return writer.close()


def describe_records(source: BinaryIO, *, content_limit: int | None = None) -> StoredFile:
    """Return what `write_records` said when it wrote the file that `source` reads.

    Raises `zlib.error` for no gzip, and for one that unfolds to more than `content_limit` bytes.
    """
    stored, content = hashlib.sha256(), hashlib.sha256()
    stored_bytes = content_bytes = lines = 0
    unpacker = zlib.decompressobj(_GZIP)
    while chunk := source.read(READ_BYTES):
        stored.update(chunk)
        stored_bytes += len(chunk)
        while chunk:
            plain = unpacker.decompress(chunk, READ_BYTES)
            chunk = unpacker.unconsumed_tail
            content.update(plain)
            content_bytes += len(plain)
            if content_limit is not None and content_bytes > content_limit:
                raise zlib.error(f"it unfolds to more than {content_limit:,} bytes")
            lines += plain.count(b"\n")
        if unpacker.unused_data:
            raise zlib.error("there is data after the end of the compressed stream")
    if not unpacker.eof:
        raise zlib.error("the compressed stream ends early")
    return StoredFile(
        name=RECORDS_FILE,
        bytes=stored_bytes,
        sha256=stored.hexdigest(),
        content_bytes=content_bytes,
        content_sha256=content.hexdigest(),
        lines=lines,
    )


def require_sound(stream: RecordStream, *, next_seq: int, root: bytes, where: str) -> None:
    """Hold what `stream` took against the signed `root`. Raises `IntegrityError` naming the first seq concerned."""
    holds = stream.size == next_seq and stream.frontier.root() == root
    failures = stream.blame.close(next_seq=next_seq, root_holds=holds)
    real = [failure for failure in failures if failure.verdict not in CANNOT_TELL]
    if holds and not real:
        return
    first = real[0] if real else None
    seq = first.seq if first else None
    detail = f"seq {seq}: {first.verdict}, {first.detail}" if first else "the records hash to another root"
    raise IntegrityError(
        f"the database does not hold what {where}: {detail}.",
        remedy="Nothing was written. Run `counterfoil check`; see docs/runbooks/failed-check.md.",
        seq=seq,
        finding="records_edited",
    )


def verify_against_database(
    connection: psycopg.Connection[Any], store: ObjectStore, manifest: Manifest, *, progress: Progress | None = None
) -> RecordStream:
    """Re-hash the database's records of an archived segment; return the stream, which stands at its end.

    Raises `IntegrityError` with the first seq that differs, so that a rewritten database is never freshly signed over.
    """
    stream = RecordStream(frontier=manifest.before, prev=manifest.first_prev, book=manifest.book)
    done = 0
    for batch in record_batches(connection, manifest.book, manifest.first_seq, manifest.next_seq):
        stream.feed(batch)
        done += len(batch)
        if progress:
            progress(done)
    if stream.size == manifest.next_seq and stream.frontier.root() == manifest.root:
        return stream
    seq = _first_difference(connection, store, manifest)
    raise IntegrityError(
        f"the database differs from archived segment {manifest.segment} at seq {seq}.",
        remedy="Nothing was written. Run `counterfoil check`; see docs/runbooks/failed-check.md.",
        seq=seq,
        finding="records_edited",
    )


def require_intact(store: ObjectStore, manifest: Manifest) -> None:
    """Hold the archived files of a segment, in the versions that its manifest names, against it.

    Raises `IntegrityError` naming the file.
    """
    for item in manifest.objects:
        name = f"{manifest.folder}/{item.name}"
        digest, size_bytes = hashlib.sha256(), 0
        try:
            source = store.open(name, item.version_id)
        except NotFound as error:
            raise IntegrityError(
                f"{name} is not there{f' as version {item.version_id}: a lock was undone' if item.version_id else ''}.",
                remedy="See docs/runbooks/archive.md: the store itself was tampered with.",
                finding="archive_edited" if item.version_id else "archive_missing",
            ) from error
        with source:
            while chunk := source.read(READ_BYTES):
                digest.update(chunk)
                size_bytes += len(chunk)
        if (digest.hexdigest(), size_bytes) != (item.sha256, item.bytes):
            raise IntegrityError(
                f"{name} is not the file that its manifest lists: {size_bytes} bytes of sha256 {digest.hexdigest()}.",
                remedy="Restore it from a copy of the archive; `counterfoil verify` names the records concerned.",
                finding="archive_edited",
            )


def describes_the_log(
    connection: psycopg.Connection[Any], store: ObjectStore, manifest: Manifest, *, before: Frontier, prev: bytes
) -> bool:
    """Say whether what `manifest` says of records is what the database holds of them, and the archived file too.

    `before` and `prev` are the tree and the leaf where it must begin. For one that a compromised key signed: its thief
    can sign what he likes, and this is what he cannot make true.
    """
    if manifest.before != before or manifest.first_prev != prev:
        return False
    stream = RecordStream(frontier=before, prev=prev, book=manifest.book)
    content, lines, content_bytes = hashlib.sha256(), 0, 0
    for batch in record_batches(connection, manifest.book, manifest.first_seq, manifest.next_seq):
        stream.feed(batch)
        block = b"".join(line + b"\n" for line in batch)
        content.update(block)
        lines, content_bytes = lines + len(batch), content_bytes + len(block)
    listed = manifest.stored(RECORDS_FILE)
    if listed is None or (listed.lines, listed.content_sha256) != (lines, content.hexdigest()):
        return False
    try:
        require_intact(store, manifest)
        with store.open(f"{manifest.folder}/{RECORDS_FILE}", listed.version_id) as source:
            archived = describe_records(source, content_limit=content_bytes)
    except (IntegrityError, NotFound, zlib.error):
        return False
    said = (
        manifest.next_seq,
        manifest.root,
        manifest.last_leaf,
        manifest.entries,
        dict(manifest.totals),
        manifest.cutoff,
    )
    held = (
        stream.size,
        stream.frontier.root(),
        stream.last_leaf,
        stream.entries,
        stream.totals(),
        stream.recorded_at,
    )
    return said == held and archived.content_sha256 == content.hexdigest()


def _first_difference(connection: psycopg.Connection[Any], store: ObjectStore, manifest: Manifest) -> int:
    batches = record_batches(connection, manifest.book, manifest.first_seq, manifest.next_seq)
    stored = (line for batch in batches for line in batch)
    listed = manifest.stored(RECORDS_FILE)
    version_id = listed.version_id if listed is not None else None
    archived = archived_lines(store, f"{manifest.folder}/{RECORDS_FILE}", version_id)
    for offset, (here, there) in enumerate(zip_longest(stored, archived)):
        if here != there:
            return manifest.first_seq + offset
    return manifest.first_seq
