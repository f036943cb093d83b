"""What a file is, asked of every source's contract, with no home, no database and no network.

Nothing is landed and nothing is kept. A source takes a file or says why not in the words in which landing would.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO

from ingest.contract.rows import ControlTotal, Reader, Source
from ingest.formats.csv.reader import CsvReader
from ingest.formats.sniffing import HEAD_BYTES, refuse_strangers
from ingest.landing.answers import MAX_ROWS_LISTED
from ingest.landing.paths import masked_name
from ingest.landing.unpacking import Content, contents
from ingest.sources import contracts, find_source, source_names
from ledger_core.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of a file by what becomes of them, as the file heads them where no contract knows them."""

    stored: tuple[str, ...]
    kept: tuple[str, ...]
    """Outside the contract's list: in `extra`."""
    personal: tuple[str, ...]
    """In the encrypted bytes alone."""
    missing: tuple[str, ...]
    """Of the contract, and not in this file; it can do without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A file as one source reads it."""

    source: str
    record_type: str
    reports: tuple[str, ...]
    read: int
    accepted: int
    quarantined: int
    first_problems: tuple[tuple[int, str, str], ...]
    """Line, code and reason of the first rows that would be put aside."""
    covers_from: date | None
    covers_to: date | None
    document_at: datetime | None
    time_zone: str | None
    columns: Columns | None
    """None for a format without a header."""
    warnings: tuple[str, ...]
    control_totals: tuple[ControlTotal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One content of the file: the sources that take it, the likeliest first, and what each other said."""

    name: str
    readings: tuple[Reading, ...]
    refusals: dict[str, str]


def explain(path: Path, *, sources: tuple[str, ...] = ()) -> list[Explained]:
    """Return what every source (or each of `sources`) makes of what is inside the file at `path`.

    Raises `InvalidInput` for an unknown source and for a file that cannot be read.
    """
    asked = [find_source(name) for name in (sources or source_names())]
    named: dict[str, Explained] = {}
    for source in asked:
        contract = source.contract
        try:
            with contents(path, encoding=contract.encoding, keeps_wide=contract.format == "xml") as found:
                for content in found:
                    explained = named.setdefault(content.name, Explained(name=content.name, readings=(), refusals={}))
                    named[content.name] = _asked(source, content, explained)
        except InvalidInput as error:
            if not path.is_file():
                raise
            explained = named.setdefault(
                masked_name(path.name), Explained(name=masked_name(path.name), readings=(), refusals={})
            )
            explained.refusals[contract.source] = str(error)
    return list(named.values())


def _asked(source: Source, content: Content, explained: Explained) -> Explained:
    """Return `explained` with what `source` makes of `content`."""
    try:
        with content.open() as stream:
            reading = _read(source, stream, content.name)
    except InvalidInput as error:
        explained.refusals[source.contract.source] = str(error)
        return explained
    readings = sorted((*explained.readings, reading), key=lambda each: (each.quarantined - each.accepted, each.source))
    return Explained(name=explained.name, readings=tuple(readings), refusals=explained.refusals)


def _read(source: Source, stream: BinaryIO, name: str) -> Reading:
    contract = source.contract
    refuse_strangers(stream.read(HEAD_BYTES), name=name, contract=contract, known=contracts().values())
    stream.seek(0)
    reader = source.parse(stream, name=name)
    for _ in reader.batches():
        pass
    facts = reader.facts
    return Reading(
        source=contract.source,
        record_type=reader.record_type.name,
        reports=reader.record_type.reports,
        read=reader.read,
        accepted=reader.accepted,
        quarantined=len(reader.quarantined),
        first_problems=tuple((row.line, row.code, row.reason) for row in reader.quarantined[:MAX_ROWS_LISTED]),
        covers_from=facts.selected_from or reader.first_on,
        covers_to=facts.selected_to or reader.last_on,
        document_at=facts.document_at,
        time_zone=facts.time_zone,
        columns=_columns(reader),
        warnings=tuple(reader.warnings),
        control_totals=tuple(reader.control_totals),
    )


def _columns(reader: Reader) -> Columns | None:
    if not isinstance(reader, CsvReader):
        return None
    header, record_type = reader.header, reader.record_type
    personal = [header.names[place] for place in header.personal]
    return Columns(
        stored=tuple(column.shown for column in header.stored),
        kept=tuple(header.extra),
        personal=tuple(record_type.by_name[name].shown if name in record_type.by_name else name for name in personal),
        missing=tuple(column.shown for column in record_type.columns if column.name not in header.places),
    )
