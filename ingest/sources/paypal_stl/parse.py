"""PayPal's settlement report, bytes in and rows out: the body of every section as a table, the rest as what it proves.

The first field of a record says what it is. Rows of all sections and files of a report are read by the column names
above them, in whatever order these stand; beside each is put in which section it stood.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import BinaryIO

from ingest.contract.row_checks import Check, Columns
from ingest.contract.rows import Batch, Facts, Fault
from ingest.formats.csv.reader import CsvReader
from ingest.formats.csv.records import Chunk
from ingest.sources.paypal_stl.contract import CONTRACT, OWN
from ingest.sources.paypal_stl.footers import REPORT, Footer, Sums, totals_of
from ledger_core.errors import InvalidInput

_INSTANT = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d [+-]\d{4}", re.ASCII)
_COMPLETED = "transactioncompletiondate"
_SUMMED = ("section", "gross_currency", "gross_side", "gross_amount", "fee_side", "fee_amount")
_KNOWN = frozenset({"RH", "FH", "SH", "CH", "SB", "SF", "SC", "RF", "RC", "FF"})


@dataclass(slots=True)
class _Section:
    """Where the rows that are being read stand."""

    number: int = 0
    account: str = ""
    first_at: str = ""
    last_at: str = ""


@dataclass(frozen=True, slots=True)
class _OneCurrency:
    """A fee is in the currency of its gross: one in another would move another balance."""

    gross: int
    fee: int
    amount: int

    def passes(self, columns: Columns) -> bool:
        rows = zip(columns[self.gross], columns[self.fee], columns[self.amount], strict=True)
        return all(fee in ("", gross) or not amount.strip("0") for gross, fee, amount in rows)

    def explain(self, row: Sequence[str]) -> Fault | None:
        if row[self.fee] in ("", row[self.gross]) or not row[self.amount].strip("0"):
            return None
        return Fault(
            code="two_currencies",
            reason=f"the fee is in {row[self.fee]} and the gross in {row[self.gross]}: it moves another balance.",
        )


class StlReader(CsvReader):
    """A settlement report being read."""

    def __init__(self, stream: BinaryIO, *, name: str) -> None:
        """Read up to the first column header. Raises `InvalidInput` for a file that has none."""
        self._place = _Section()
        self._columns_above: list[str] = []
        self._made_at: list[str] = []
        self._spoken_until: list[str] = []
        self._covered: list[date] = []
        self._footers: list[Footer] = []
        self._counts: list[tuple[str, int]] = []
        self._open_files = 0
        self._sums = Sums()
        super().__init__(stream, CONTRACT, name=name)

    @property
    def facts(self) -> Facts:
        """Say when the report was made, else until when it speaks; its days are those of its sections, rows or none."""
        spoken = [_at(each) for each in (self._made_at or self._spoken_until)]
        return replace(
            super().facts,
            document_at=max(spoken, default=None),
            selected_from=min(self._covered, default=None),
            selected_to=max(self._covered, default=None),
            time_zone_said_by="columns",
        )

    def batches(self) -> Iterator[Batch]:
        """Yield the rows of every section, and note what the footers prove at the end.

        Raises `InvalidInput` for a report that ends before its footer.
        """
        for batch in super().batches():
            places = [batch.columns.index(name) for name in _SUMMED]
            self._sums.add(tuple(str(row[place]) for place in places) for row in batch.rows)  # type: ignore[misc]
            yield batch
        if self._open_files > 0:
            raise InvalidInput(
                "the report ends before its footer (FF): it was cut.", file=self._name, remedy="Fetch it again."
            )
        self.control_totals += totals_of(self._footers, self._counts, self._sums)

    def _checks_of_rows(self) -> list[Check]:
        places = self._header.places
        own = _OneCurrency(places["gross_currency"], places["fee_currency"], places["fee_amount"])
        return [*super()._checks_of_rows(), own]  # type: ignore[list-item]

    def _open(self, stream: BinaryIO) -> Iterator[Chunk]:
        for chunk in super()._open(stream):
            yield from self._bodies(chunk)

    def _bodies(self, chunk: Chunk) -> Iterator[Chunk]:
        """Yield the column header, once, and the runs of body rows of `chunk`; take in what the other records say."""
        records: list[str] = []
        rows: list[list[str] | csv.Error] = []
        line = first = chunk.first_line
        last = len(chunk.rows) - 1
        for index, (record, row) in enumerate(zip(chunk.records, chunk.rows, strict=True)):
            is_body = isinstance(row, csv.Error) or row[:1] == ["SB"]
            if is_body and self._columns_above:
                if not rows:
                    first = line
                records.append(record)
                rows.append(self._completed(row))
            elif row != []:
                if rows:
                    yield Chunk(first_line=first, records=records, rows=rows)
                    records, rows = [], []
                if index == last and chunk.ends_file_abruptly and not _is_whole(row):
                    raise _cut(self._name, line)
                yield from self._take(row, record, line)
            line += 1 + record.count("\n")
        if rows:
            yield Chunk(first_line=first, records=records, rows=rows, ends_file_abruptly=chunk.ends_file_abruptly)

    def _take(self, row: list[str] | csv.Error, record: str, line: int) -> Iterator[Chunk]:
        if isinstance(row, csv.Error) or row[0] not in _KNOWN:
            raise InvalidInput(
                f"a record begins with {_shown(row)}, and a settlement report has {', '.join(sorted(_KNOWN))}.",
                file=self._name,
                line=line,
                remedy="Fetch the report again; if it is another report of PayPal's, it is not read.",
            )
        kind, fields = row[0], row[1:]
        match kind:
            case "CH":
                yield from self._take_header(fields, record, line)
            case "SB":
                raise InvalidInput(
                    "a row stands before the column header (CH).",
                    file=self._name,
                    line=line,
                    remedy="Fetch the report again: without the names above them nobody knows what the columns are.",
                )
            case "SH":
                self._take_section(fields, line)
            case "SF" | "RF":
                section = REPORT if kind == "RF" else str(self._place.number)
                self._footers.append(Footer(section, line, fields))
            case "SC" | "RC":
                self._counts.append((REPORT if kind == "RC" else str(self._place.number), self._count(fields, line)))
            case "RH":
                self._made_at += [field for field in fields[:1] if _is_moment(field)]
            case "FH":
                self._open_files += 1
            case _:
                self._open_files -= 1

    def _take_header(self, fields: list[str], record: str, line: int) -> Iterator[Chunk]:
        """Yield the first header; of a later one, keep how its columns go into those of the first."""
        names = [_folded(field) for field in fields]
        if self._columns_above:
            self._order = self._order_of(names, line)
            return
        self._columns_above = names
        self._order = list(range(len(names)))
        yield Chunk(first_line=line, records=[record], rows=[[*fields, *OWN]])

    def _order_of(self, names: list[str], line: int) -> list[int]:
        if sorted(names) != sorted(self._columns_above):
            raise InvalidInput(
                "a section has other columns than the one before it.",
                file=self._name,
                line=line,
                remedy="Fetch the report again; a report has one version and so one set of columns.",
            )
        return [names.index(name) for name in self._columns_above]

    def _take_section(self, fields: list[str], line: int) -> None:
        first_at, last_at, account = (*fields, "", "", "")[:3]
        for moment in (first_at, last_at):
            if not _is_moment(moment):
                raise InvalidInput(
                    f"a section (SH) begins or ends at {moment[:40]!r}, which is no time (YYYY/MM/DD HH:MM:SS +HHMM).",
                    file=self._name,
                    line=line,
                    remedy="Fetch the report again.",
                )
        self._place = _Section(self._place.number + 1, account, first_at, last_at)
        self._spoken_until.append(last_at)
        self._covered += [date.fromisoformat(_day(moment)) for moment in (first_at, last_at)]

    def _count(self, fields: list[str], line: int) -> int:
        written = fields[0].strip() if fields else ""
        if not written.isdecimal():
            raise InvalidInput(
                f"a count of rows is {written[:40]!r}.", file=self._name, line=line, remedy="Fetch the report again."
            )
        return int(written)

    def _completed(self, row: list[str] | csv.Error) -> list[str] | csv.Error:
        """Return a body row in the order of the first header, with where it stood; one of another width as it is."""
        place = self._place
        self._sums.rows[str(place.number)] += 1
        if isinstance(row, csv.Error):
            return row
        fields, wanted = row[1:], len(self._columns_above)
        if len(fields) != wanted:
            # Never by chance as wide as a row with its place beside it.
            return fields if len(fields) != wanted + len(OWN) else [*fields, ""]
        ordered = [fields[index] for index in self._order]
        day = _day(ordered[self._columns_above.index(_COMPLETED)]) if _COMPLETED in self._columns_above else ""
        return [*ordered, day, str(place.number), place.account, place.first_at, place.last_at]


def parse(stream: BinaryIO, *, name: str) -> StlReader:
    """Return a reader of the report in `stream`. Raises `InvalidInput` for a file that is no settlement report."""
    return StlReader(stream, name=name)


def _folded(heading: str) -> str:
    return re.sub(r"[\W_]", "", heading).casefold()


def _day(moment: str) -> str:
    """Return the day of a time where it was taken, which is the one that PayPal selects by; nothing for no time."""
    return moment[:10].replace("/", "-") if _INSTANT.fullmatch(moment) else ""


def _is_moment(written: str) -> bool:
    if _INSTANT.fullmatch(written) is None:
        return False
    try:
        return 1970 <= _at(written).year < 9999
    except (ValueError, OverflowError):
        return False


def _at(moment: str) -> datetime:
    return datetime.strptime(moment, "%Y/%m/%d %H:%M:%S %z").astimezone(UTC)


def _shown(row: list[str] | csv.Error) -> str:
    return repr(row[0][:40]) if isinstance(row, list) else "no CSV"


def _is_whole(row: list[str] | csv.Error) -> bool:
    """Tell whether a last record without a line break says all that it should: a count, as a file ends."""
    return isinstance(row, list) and row[0] in ("FF", "RC", "SC") and len(row) > 1 and row[1].strip().isdecimal()


def _cut(name: str, line: int) -> InvalidInput:
    return InvalidInput(
        "the file ends in the middle of a record: it was cut.", file=name, line=line, remedy="Fetch it again."
    )
