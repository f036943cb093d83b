"""A copy of archived records for analysts, as Parquet: typed columns, a file of records and one of postings a segment.

It proves nothing and is named nowhere that is signed: the manifest does not list it, it lies outside the archive, and
it can be thrown away and made again. What it copies is proven: the records are read out of the archive in the version
that the signed manifest names, and a file appears under its name only once their hash was the manifest's. Made by a
command of its own, never by the close: that a copy fails stops no proof. Amounts are minor units, whole numbers; the
same segment gives the same bytes under the same release of the library.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import text

from ledger_core.errors import ConfigurationError, IntegrityError, InvalidInput
from ledger_core.evidence.export.archive import recorded_manifest
from ledger_core.evidence.keyring import pinned_ring
from ledger_core.journal.money import exponent
from ledger_core.log.patience import one_task
from ledger_core.log.record import MAX_RECORD_BYTES
from ledger_core.log.segment import RECORDS_FILE, Manifest

if TYPE_CHECKING:
    from ledger_core.base.objects.port import ObjectStore
    from ledger_core.runtime import Runtime

ROWS, ROWS_BYTES = 50_000, 16 * 1024 * 1024
"""Records a row group, and of how many bytes: what is held in memory at once."""
COMPRESSION, COMPRESSION_LEVEL = "zstd", 3
SCHEMA = "cf-analysts/1"

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """The files of one segment; `created` is False where they stood already."""

    segment: int
    closed_on: date
    records: Path
    postings: Path
    created: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    segment: int
    closed_on: date
    first_seq: int
    next_seq: int
    manifest_sha256: str


def copy_segments(
    runtime: Runtime, *, book: str, target: Path, segment: int | None = None, progress: Progress | None = None
) -> Iterator[Copied]:
    """Write the recorded segments of `book`, or the one of that number, below `target`; yield each as it stands.

    Raises `ConfigurationError` without the library, `IntegrityError` for an archive that is not what the log recorded.
    """
    arrow = _library()
    origin = runtime.settings.origin_of(book)
    with runtime.engine.connect() as connection:
        rows = connection.execute(
            text(
                "select segment, closed_on, first_seq, next_seq, manifest_sha256 from ledger.exports "
                "where book = :book and (segment = :segment or cast(:segment as bigint) is null) order by segment"
            ),
            {"book": book, "segment": segment},
        ).all()
    ring = pinned_ring(runtime, origin)
    for row in rows:
        recorded = _Recorded(**row._mapping)
        name = f"segment={recorded.segment:010d}/{recorded.manifest_sha256[:16]}.parquet"
        records, postings = (target / book / table / name for table in ("records", "postings"))
        created = not (records.exists() and postings.exists())
        if created:
            with one_task():
                found = recorded_manifest(runtime.archive, origin, recorded, recorded.closed_on, ring)
                if found is None:
                    raise IntegrityError(
                        f"segment {recorded.segment} is recorded and not in the archive.",
                        remedy="Run `counterfoil check`.",
                        seq=recorded.first_seq,
                        finding="archive_missing",
                    )
                _write(arrow, runtime.archive, found.manifest, found.sha256, records, postings, progress)
        yield Copied(
            segment=recorded.segment,
            closed_on=recorded.closed_on,
            records=records,
            postings=postings,
            created=created,
        )


def _write(
    arrow: Any,
    store: ObjectStore,
    manifest: Manifest,
    manifest_sha256: str,
    records: Path,
    postings: Path,
    progress: Progress | None,
) -> None:
    """Write both files aside, and give them their names once the records were those of the manifest."""
    about = {
        "schema": SCHEMA,
        "authoritative": "false",
        "origin": manifest.origin,
        "segment": str(manifest.segment),
        "closed_on": manifest.closed_on.isoformat(),
        "manifest_sha256": manifest_sha256,
    }
    aside = [path.with_name(f".{path.name}.{os.getpid()}") for path in (records, postings)]
    schemas = [schema.with_metadata(about) for schema in _schemas(arrow)]
    try:
        for path in aside:
            path.parent.mkdir(parents=True, exist_ok=True)
        writers = [
            arrow.parquet.ParquetWriter(
                path, schema, compression=COMPRESSION, compression_level=COMPRESSION_LEVEL, version="2.6"
            )
            for path, schema in zip(aside, schemas, strict=True)
        ]
        done = 0
        try:
            for lines in _batches(store, manifest):
                for writer, schema, rows in zip(writers, schemas, _rows(lines), strict=True):
                    writer.write_table(arrow.Table.from_pylist(rows, schema=schema), row_group_size=len(rows) or 1)
                done += len(lines)
                if progress:
                    progress(done)
        finally:
            for writer in writers:
                writer.close()
        aside[1].replace(postings)
        aside[0].replace(records)
    finally:
        for path in aside:
            path.unlink(missing_ok=True)


def _batches(store: ObjectStore, manifest: Manifest) -> Iterator[list[bytes]]:
    """Yield the archived records by the batch. Raises `IntegrityError` at the end where they are not the manifest's."""
    name = f"{manifest.folder}/{RECORDS_FILE}"
    listed = manifest.stored(RECORDS_FILE)
    content, lines, room = hashlib.sha256(), 0, (listed.content_bytes or 0) if listed else 0
    try:
        with store.open(name, listed.version_id if listed else None) as source, gzip.open(source) as plain:
            batch: list[bytes] = []
            held = 0
            while line := plain.readline(MAX_RECORD_BYTES + 2):
                content.update(line)
                room, held, lines = room - len(line), held + len(line), lines + 1
                if room < 0 or not line.endswith(b"\n"):
                    raise _differs(name)
                batch.append(line)
                if len(batch) >= ROWS or held >= ROWS_BYTES:
                    yield batch
                    batch, held = [], 0
            if batch:
                yield batch
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise _differs(name) from error
    if listed is None or (listed.lines, listed.content_sha256) != (lines, content.hexdigest()):
        raise _differs(name)


def _rows(lines: Sequence[bytes]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of records, and those of the postings in them."""
    records, postings = [], []
    for line in lines:
        record = orjson.loads(line)
        body = record["body"]
        recorded_at = datetime.fromisoformat(record["recorded_at"])
        effective_at = body.get("effective_at")
        common = {
            "seq": record["seq"],
            "recorded_at": recorded_at,
            "effective_at": datetime.fromisoformat(effective_at) if effective_at else None,
            "external_id": body.get("external_id"),
        }
        records.append(
            {
                **common,
                "id": record["id"],
                "kind": record["kind"],
                "book": record["book"],
                "actor": body.get("actor", {}).get("subject"),
                "description": body.get("description"),
                "reverses": body.get("reverses"),
                "corrects": body.get("corrects"),
                "template": _text(body.get("template")),
                "body": orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode(),
            }
        )
        if record["kind"] == "journal_entry":
            for number, posting in enumerate(body["postings"]):
                postings.append(
                    {
                        **common,
                        "entry_id": record["id"],
                        "posting": number,
                        "account": posting["account"],
                        "direction": posting["direction"],
                        "amount_minor": int(posting["amount"]),
                        "currency": posting["currency"],
                        "minor_digits": _digits(posting["currency"]),
                    }
                )
    return records, postings


def _schemas(arrow: Any) -> tuple[Any, Any]:
    """Return the columns of both files. Dictionaries where a column has few values: they read as categories."""
    moment, words = arrow.timestamp("us", tz="UTC"), arrow.dictionary(arrow.int32(), arrow.string())
    common = [
        ("seq", arrow.int64()),
        ("recorded_at", moment),
        ("effective_at", moment),
        ("external_id", arrow.string()),
    ]
    records = [
        *common,
        ("id", arrow.string()),
        ("kind", words),
        ("book", words),
        ("actor", words),
        ("description", arrow.string()),
        ("reverses", arrow.string()),
        ("corrects", arrow.string()),
        ("template", arrow.string()),
        ("body", arrow.string()),
    ]
    postings = [
        *common,
        ("entry_id", arrow.string()),
        ("posting", arrow.int32()),
        ("account", words),
        ("direction", words),
        ("amount_minor", arrow.int64()),
        ("currency", words),
        ("minor_digits", arrow.int8()),
    ]
    return arrow.schema(records), arrow.schema(postings)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _digits(currency: str) -> int | None:
    try:
        return exponent(currency)
    except InvalidInput:
        return None  # of a release that knew another list of currencies


def _library() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigurationError(
            "a copy as Parquet needs pyarrow, which is not installed here.",
            remedy="pip install 'counterfoil[analysts]'.",
        ) from error
    return pyarrow


def _differs(name: str) -> IntegrityError:
    return IntegrityError(
        f"{name} does not hold the records that its manifest lists: nothing was copied.",
        remedy="`counterfoil verify` names the records concerned.",
        finding="archive_edited",
    )
