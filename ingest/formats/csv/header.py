"""Which report a CSV file is, told by its header, and where each column stands.

By name and never by place: providers add columns and let users choose their order.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ingest.contract.vocabulary import Column, Contract, RecordType
from ledger_core.errors import InvalidInput

MAX_COLUMNS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A header understood."""

    record_type: RecordType
    names: tuple[str, ...]
    places: Mapping[str, int]
    """Where the columns of the contract stand."""
    stored: tuple[Column, ...]
    """Those of them that the raw table takes, in the contract's order."""
    extra: tuple[str, ...]
    """Columns outside the contract that are kept in `extra`."""
    free_text: tuple[int, ...]
    personal: tuple[int, ...]
    warnings: tuple[str, ...]


def read_header(fields: Sequence[str] | csv.Error, contract: Contract, *, name: str) -> Header:
    """Understand the first record of file `name`. Raises `InvalidInput` naming what is missing or twice there."""
    if isinstance(fields, csv.Error):
        raise InvalidInput(f"the header is no CSV: {fields}.", file=name, line=1, remedy="Fetch the file again.")
    written = tuple(field.strip() for field in fields)
    names = _as_called(written, contract)
    _refuse_shapes(names, contract, name=name)
    record_type = _record_type(names, contract, name=name)
    places = {column: place for place, column in enumerate(names) if column in record_type.by_name}
    _refuse_amounts_without_side(record_type, places, name=name)
    others = [column for column in names if column not in record_type.by_name]
    personal = [column for column in others if contract.is_personal(column)]
    extra = [column for column in others if column not in personal]
    by_name = record_type.by_name
    return Header(
        record_type=record_type,
        names=names,
        places=places,
        stored=tuple(column for column in record_type.stored if column.name in places),
        extra=tuple(extra),
        free_text=tuple(
            place
            for place, column in enumerate(names)
            if (by_name[column].is_free_text if column in by_name else contract.is_free_text(column))
        ),
        personal=tuple(
            place
            for place, column in enumerate(names)
            if (by_name[column].personal if column in by_name else column in personal)
        ),
        warnings=tuple(_warnings(extra, personal, contract)),
    )


def _as_called(written: Sequence[str], contract: Contract) -> tuple[str, ...]:
    """Return the names of the contract for columns that the provider heads otherwise; the rest as they came."""
    called = {
        _folded(heading): column.name
        for record_type in contract.record_types
        for column in record_type.columns
        for heading in column.written
    }
    return tuple(called.get(_folded(heading), heading) for heading in written) if called else tuple(written)


def _folded(heading: str) -> str:
    return re.sub(r"[\W_]", "", heading).casefold()


def _refuse_shapes(names: Sequence[str], contract: Contract, *, name: str) -> None:
    if len(names) > MAX_COLUMNS:
        raise InvalidInput(
            f"the header has {len(names)} columns, more than {MAX_COLUMNS} (MAX_COLUMNS).",
            file=name,
            line=1,
            remedy=f"Check that this is a file of {contract.source}.",
        )
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice:
        raise InvalidInput(
            f"the header names {_shown(twice, contract.record_types)} twice.",
            file=name,
            line=1,
            remedy="Have the provider make the report with each column once; nobody can tell which of the two counts.",
        )
    if len(names) == 1 and contract.delimiter not in names[0]:
        for delimiter, called in ((",", "commas"), (";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
            if delimiter in names[0]:
                raise InvalidInput(
                    f"columns are separated by {called}; {contract.source} files use '{contract.delimiter}'.",
                    file=name,
                    line=1,
                    remedy="Fetch it again; a spreadsheet that saved it may have changed amounts and dates as well.",
                )


def _refuse_amounts_without_side(record_type: RecordType, places: Mapping[str, int], *, name: str) -> None:
    needed = [(column.name, column.indicator or column.opposite) for column in record_type.columns]
    needed += [(column.opposite, column.name) for column in record_type.columns if column.opposite]
    for pair in needed:
        if pair[0] in places and pair[1] is not None and pair[1] not in places:
            there, beside = (record_type.by_name[each].shown for each in pair)
            raise InvalidInput(
                f"the header lacks {beside}, without which nobody can tell the side of {there}.",
                file=name,
                line=1,
                remedy=f"Have the provider make the report with {there} and {beside}.",
            )


def _record_type(names: Sequence[str], contract: Contract, *, name: str) -> RecordType:
    present = set(names)
    # A report without its times in UTC is the same report: its own times stand in.
    present |= {
        column.stands_for
        for each in contract.record_types
        for column in each.columns
        if column.stands_for and column.name in present
    }
    ranked = sorted(
        contract.record_types, key=lambda each: (-len(present & set(each.mandatory)), -len(present & set(each.by_name)))
    )
    complete = [each for each in ranked if present.issuperset(each.mandatory)]
    if complete:
        return complete[0]
    best = ranked[0]
    missing = [column for column in best.mandatory if column not in present]
    if len(missing) * 2 > len(best.mandatory):
        raise InvalidInput(
            f"no report of {contract.source} has this header.",
            file=name,
            line=1,
            remedy=f"It reads {_listed(contract)}; the first line must name their columns.",
        )
    raise InvalidInput(
        f"the header lacks {_shown(missing, [best])}, which {best.reports[0]} must have.",
        file=name,
        line=1,
        remedy=_remedy(best, missing),
    )


def _remedy(record_type: RecordType, missing: Sequence[str]) -> str:
    """Say which columns to choose; a time may come without its zone."""
    others = [record_type.stand_ins[column] for column in missing if column in record_type.stand_ins]
    instead = f" ({', '.join(others)} will do for a time in UTC)" if others else ""
    return (
        f"It looks like {record_type.reports[0]}, made with a choice of columns: have the provider make it with "
        f"{_shown(missing, [record_type])} among them{instead}. If it is another file, land it under its own source."
    )


def _shown(names: Sequence[str], record_types: Sequence[RecordType]) -> str:
    """Return columns as people know them."""
    known = {column.name: column.shown for record_type in record_types for column in record_type.columns}
    return ", ".join(known.get(name, name) for name in names)


def _warnings(extra: Sequence[str], personal: Sequence[str], contract: Contract) -> list[str]:
    unknown = [column for column in extra if not contract.expects(column)]
    warnings = [f"column {column} is unknown: kept in extra." for column in unknown]
    return warnings + [f"column {column} names persons: not stored in the clear." for column in personal]


def _listed(contract: Contract) -> str:
    return ", ".join(report for record_type in contract.record_types for report in record_type.reports)
