"""A report in CSV as batches of checked rows: the reader that every CSV source shares.

Thousands of rows are checked at once, column by column, and put in the contract's order without a Python loop over
rows; only a batch in which something is wrong is looked at row by row, and then says what.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import BinaryIO, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from ingest.contract.cards import find_cards, may_hold_cards
from ingest.contract.row_checks import Check, Columns, all_pass, checks_for, first_fault, labels_of
from ingest.contract.rows import Batch, ControlTotal, Facts, Fault, QuarantinedRow
from ingest.contract.vocabulary import MAX_FIELD_CHARS, Contract, Kind, RecordType
from ingest.contract.zones import zone_of
from ingest.formats.csv.header import Header, read_header
from ingest.formats.csv.records import Chunk, read_chunks
from ingest.landing.quarantine import put_aside, refuse_too_many
from ledger_core.errors import InvalidInput

WITHHELD = "[withheld]"

_DATED, _UNSELECTED = "dated", "unselected"
"""Whose first and last time is noted: of every row, and of the rows that no other axis selects."""


class _Key(NamedTuple):
    """Of what a first and a last time is noted."""

    axis: str
    column: str
    label: str
    """The zone that stands beside these times, where rows say it."""


class CsvReader:
    """One CSV file being read; see `ingest.contract.rows.Reader`."""

    def __init__(self, stream: BinaryIO, contract: Contract, *, name: str) -> None:
        """Read the header of `stream`. Raises `InvalidInput` when the file is no report of `contract`."""
        self._name = name
        self._contract = contract
        self._chunks = self._open(stream)
        first = next(self._chunks, None)
        if first is None or not first.rows[0]:
            raise InvalidInput(
                "the file has no header.", file=name, line=1, remedy="Fetch it again: even a quiet day has one."
            )
        self._header: Header = read_header(first.rows[0], contract, name=name)
        self._opening = Chunk(
            first_line=first.line_of(1),
            records=first.records[1:],
            rows=first.rows[1:],
            ends_file_abruptly=first.ends_file_abruptly,
        )
        self.record_type: RecordType = self._header.record_type
        self.counted_table = self.record_type.table
        self._checks: list[Check] = []
        self._stored_places = [self._header.places[column.name] for column in self._header.stored]
        self._extra_places = [self._header.names.index(column) for column in self._header.extra]
        self._columns = (*(column.name for column in self._header.stored), "extra")
        self._dated = self._present(self.record_type.dated_by)
        self._selected = [name for name in self.record_type.selected_by if name in self._header.places][:1]
        self._first: dict[_Key, str] = {}
        self._last: dict[_Key, str] = {}
        self.zone: str | None = None
        self.warnings: list[str] = list(self._header.warnings)
        self.quarantined: list[QuarantinedRow] = []
        self.control_totals: list[ControlTotal] = []
        self.cards: set[str] = set()
        self.read = 0
        self.accepted = 0

    def _open(self, stream: BinaryIO) -> Iterator[Chunk]:
        """Yield the records of the file, of which the first is the header."""
        return read_chunks(
            stream, name=self._name, delimiter=self._contract.delimiter, encoding=self._contract.encoding
        )

    @property
    def header(self) -> Header:
        """What the first record says of the others."""
        return self._header

    @property
    def first_on(self) -> date | None:
        return min(self._days(self._first, fold=0), default=None)

    @property
    def last_on(self) -> date | None:
        return max(self._days(self._last, fold=1), default=None)

    @property
    def facts(self) -> Facts:
        first = {key: self._instant(key, written, fold=0) for key, written in self._first.items()}
        last = {key: self._instant(key, written, fold=1) for key, written in self._last.items()}
        axis = [key for key in first if key.axis != _DATED] or list(first)
        return Facts(
            document_at=max(last.values(), default=None),
            selected_from=min((first[key].date() for key in axis), default=None),
            selected_to=max((last[key].date() for key in axis), default=None),
            time_zone=self._zone_of(self._local or self._dated),
            time_zone_said_by=self._zone_said_by(),
        )

    def batches(self) -> Iterator[Batch]:
        """Yield the rows in the order of the file. Raises `InvalidInput` where its structure is lost."""
        self._checks = self._checks_of_rows()
        yield from self._batch(self._opening)
        for chunk in self._chunks:
            yield from self._batch(chunk)
        if self.read == 0:
            self.warnings.append("the report has no rows.")
        if self._local is not None:
            zone, said_by = self._zone_of(self._local), "the setting of this source" if self.zone else "the default"
            wanted = self.record_type.by_name[self._local].stands_for
            self.warnings.append(f"no column {wanted}: the times of {self._local} are read as {zone} ({said_by}).")

    def _checks_of_rows(self) -> list[Check]:
        return checks_for(self._contract, self.record_type, self._header.places, zone=self.zone)

    def _batch(self, chunk: Chunk) -> Iterator[Batch]:
        ordinals: Sequence[int]
        columns = self._plain_columns(chunk)
        if columns is None:
            rows, ordinals = self._one_by_one(chunk)
            columns = list(zip(*rows, strict=True))
        else:
            ordinals = range(self.read + 1, self.read + 1 + len(chunk.rows))
            self.read += len(chunk.rows)
        if chunk.ends_file_abruptly:
            self._refuse_or_warn_of_a_cut(chunk)
        if not ordinals:
            return
        self.accepted += len(ordinals)
        stored = self._store(columns)
        self._note_moments(columns)
        yield Batch(table=self.record_type.table, columns=self._columns, ordinals=ordinals, rows=stored)

    def _present(self, column: str) -> str:
        """Return `column`, or what stands in for it in this file."""
        return column if column in self._header.places else self.record_type.stand_ins.get(column, column)

    def _note_moments(self, columns: Columns) -> None:
        """Widen what is known of the first and last times: of all rows, and of those that another axis selects."""
        places = self._header.places
        dated = columns[places[self._dated]]
        self._widen(_DATED, self._dated, dated, columns)
        for name in self._selected:
            chosen = columns[places[name]]
            self._widen(name, name, chosen, columns)
            if "" in chosen:
                unselected = [day if not other else "" for day, other in zip(dated, chosen, strict=True)]
                self._widen(_UNSELECTED, self._dated, unselected, columns)

    def _widen(self, axis: str, column: str, values: Sequence[str], columns: Columns) -> None:
        """Widen what is known of the times `values` of `column`, those of each zone by themselves."""
        labels = [self._header.places[name] for name in self._zoned_by(column)]
        said = labels_of(columns, labels) if labels else []
        for label in set(said) or {""}:
            ours = [value for value, other in zip(values, said, strict=True) if other == label] if said else values
            filled = [value for value in ours if value] if "" in ours else ours
            if filled:
                key = _Key(axis, column, label)
                self._first[key] = min(self._first.get(key, filled[0]), min(filled))
                self._last[key] = max(self._last.get(key, ""), max(filled))

    def _zoned_by(self, column: str) -> list[str]:
        """Return the columns of this file that say row by row in which zone the times of `column` are."""
        return [name for name in self.record_type.by_name[column].zoned_by if name in self._header.places]

    def _days(self, noted: Mapping[_Key, str], *, fold: int) -> list[date]:
        """Return the days that date rows, in UTC where they are times, one for each zone."""
        return [self._instant(key, value, fold=fold).date() for key, value in noted.items() if key.axis == _DATED]

    def _instant(self, key: _Key, written: str, *, fold: int) -> datetime:
        """Return the instant of a value of a column; of a date its midnight in UTC.

        `fold` takes the later of two instants of one name, as an autumn's night has them.
        """
        if self.record_type.by_name[key.column].kind is not Kind.TIMESTAMP:
            return datetime.combine(date.fromisoformat(written[:10]), time(), UTC)
        zone = zone_of(key.label, chosen=self.zone) if key.label else None
        local = datetime.fromisoformat(written).replace(tzinfo=zone or ZoneInfo(self._zone_of(key.column)), fold=fold)
        return local.astimezone(UTC)

    def _zone_of(self, column: str) -> str:
        """Return the zone of the times in `column`: the contract's, unless they are in the zone of the report.

        Where each row says its own, the one that is set decides of labels that several zones share.
        """
        read = self.record_type.by_name[column]
        is_local = read.stands_for is not None or bool(read.zoned_by)
        return (self.zone if is_local else None) or self._contract.time_zone

    @property
    def _local(self) -> str | None:
        """The first column read here that has its times in the zone of the report."""
        read = (self._dated, *self._selected)
        return next((name for name in read if self.record_type.by_name[name].stands_for is not None), None)

    def _zone_said_by(self) -> str:
        if self._local is None:
            has_columns = self.record_type.stand_ins or self.record_type.by_name[self._dated].zoned_by
            return "columns" if has_columns else "contract"
        return "setting" if self.zone else "contract"

    def _plain_columns(self, chunk: Chunk) -> Columns | None:
        """Return the chunk's columns when every record is a row that passes everything, else None."""
        rows = chunk.rows
        if not rows:
            return []
        width = len(self._header.names)
        if any(isinstance(row, csv.Error) for row in rows) or set(map(len, rows)) != {width}:  # type: ignore[arg-type]
            return None
        if max(map(len, chunk.records)) > MAX_FIELD_CHARS:
            return None
        columns = list(zip(*rows, strict=True))
        if any(may_hold_cards(set(columns[place])) for place in self._header.free_text):
            return None
        return columns if all_pass(self._checks, columns) else None

    def _one_by_one(self, chunk: Chunk) -> tuple[list[Sequence[str]], list[int]]:
        accepted: list[Sequence[str]] = []
        ordinals: list[int] = []
        line = chunk.first_line
        for record, row in zip(chunk.records, chunk.rows, strict=True):
            if row != []:
                self.read += 1
                cards = self._cards_in(record, row)
                fault = self._fault(row)
                if fault is None and not cards:
                    accepted.append(row)  # type: ignore[arg-type]
                    ordinals.append(self.read)
                else:
                    self._put_aside(record, row, fault, cards, line=line)
            line += 1 + record.count("\n")
        return accepted, ordinals

    def _fault(self, row: Sequence[str] | csv.Error) -> Fault | None:
        if isinstance(row, csv.Error):
            return Fault(code="bad_csv", reason=f"the row is no CSV: {row}.")
        names = self._header.names
        if len(row) != len(names):
            return Fault(code="width", reason=f"the row has {len(row)} fields, the header {len(names)}.")
        for column, value in zip(names, row, strict=True):
            if len(value) > MAX_FIELD_CHARS:
                limit = f"{MAX_FIELD_CHARS} characters (MAX_FIELD_CHARS)"
                return Fault(
                    code="too_long", reason=f"column {column} has {len(value)} characters; the limit is {limit}."
                )
        return first_fault(self._checks, row)

    def _cards_in(self, record: str, row: Sequence[str] | csv.Error) -> list[str]:
        """Return the card numbers of a row: in its free text, or anywhere when nobody can tell its fields apart."""
        if isinstance(row, csv.Error) or len(row) != len(self._header.names):
            return find_cards(record)
        return [card for place in self._header.free_text for card in find_cards(row[place])]

    def _put_aside(
        self, record: str, row: Sequence[str] | csv.Error, fault: Fault | None, cards: Sequence[str], *, line: int
    ) -> None:
        self.cards.update(cards)
        self.quarantined.append(
            put_aside(
                ordinal=self.read,
                line=line,
                fault=fault,
                shown=self._without_persons(row),
                original=record.encode(self._contract.encoding),
                cards=cards,
            )
        )
        refuse_too_many(self.quarantined, cards=self.cards, name=self._name)

    def _without_persons(self, row: Sequence[str] | csv.Error) -> str:
        """Return the row as JSON without the columns that name persons.

        Where fields are missing or too many nobody knows which is which: only those surely before the first such
        column stay.
        """
        if isinstance(row, csv.Error):
            return WITHHELD
        names, personal = self._header.names, self._header.personal
        if len(row) == len(names):
            shown = {
                name: value for place, (name, value) in enumerate(zip(names, row, strict=True)) if place not in personal
            }
            return orjson.dumps(shown).decode()
        missing = max(0, len(names) - len(row))
        safe = max(0, personal[0] - missing) if personal else len(row)
        fields = [*row[:safe], f"{WITHHELD} {len(row) - safe} fields"] if safe < len(row) else list(row)
        return orjson.dumps(fields).decode()

    def _refuse_or_warn_of_a_cut(self, chunk: Chunk) -> None:
        last = chunk.rows[-1] if chunk.rows else []
        line = chunk.line_of(len(chunk.rows) - 1) if chunk.rows else 1
        if isinstance(last, csv.Error) or 0 < len(last) < len(self._header.names):
            raise InvalidInput(
                "the file ends in the middle of a row: it was cut.",
                file=self._name,
                line=line,
                remedy="Fetch it again.",
            )
        self.warnings.append(f"line {line}, the last, has no line break: the file may have been cut.")

    def _store(self, columns: Columns) -> list[tuple[str, ...]]:
        """Return rows of the stored columns in the contract's order, then what is kept besides them."""
        extra: Sequence[str] = ["{}"] * len(columns[0])
        if self._extra_places:
            names, dumps = self._header.extra, orjson.dumps
            others = zip(*(columns[place] for place in self._extra_places), strict=True)
            extra = [
                dumps({name: value for name, value in zip(names, values, strict=True) if value}).decode()
                for values in others
            ]
        return list(zip(*(columns[place] for place in self._stored_places), extra, strict=True))
