"""Bank statements, bytes in and rows out: one pass, an entry at a time.

One line for each of an entry's details when all of them carry amounts of their own and these add up to the entry, else
one for the entry, which then keeps what every detail names. An entry that cannot be read is put aside whole; a
statement without account or currency refuses the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, BinaryIO

import orjson

from ingest.contract.cards import find_cards
from ingest.contract.rows import Batch, ControlTotal, Facts, Fault, QuarantinedRow, Value
from ingest.formats.xml import Element, document_tag, finished_elements, forget
from ingest.landing.quarantine import put_aside, refuse_too_many
from ingest.sources.camt053.contract import LINES, NAMESPACES, STATEMENTS
from ingest.sources.camt053.elements import (
    Detail,
    Entry,
    Values,
    detail_values,
    entry_values,
    header_values,
    statement_extra,
    statement_summary,
    statement_values,
)
from ingest.sources.camt053.statement import Statement, line_fault
from ingest.sources.camt053.texts import merged
from ledger_core.errors import InvalidInput

BATCH_LINES = 2_000
MAX_STATEMENTS = 100_000
MAX_DETAILS = 100_000
"""Of one entry: they are held until the entry ends."""

_LINE_COLUMNS = (
    "statement_ordinal",
    "entry_ordinal",
    "detail_ordinal",
    *(column.name for column in LINES.stored),
    "extra",
)
_STATEMENT_COLUMNS = (*(column.name for column in STATEMENTS.stored), "extra")
_FREE_TEXT = tuple(column.name for column in LINES.columns if column.free_text)

Extra = Mapping[str, Any]
"""What a line says beside its columns."""


def parse(stream: BinaryIO, *, name: str) -> StatementReader:
    """Return a reader of the statements in `stream`. Raises `InvalidInput` for another message or version."""
    tag = document_tag(stream, wanted="Document", name=name)
    namespace, _, local = tag.rpartition("}")
    namespace = namespace.removeprefix("{")
    if local != "Document" or namespace not in NAMESPACES:
        raise _another_message(namespace, local, name)
    return StatementReader(stream, name=name)


class StatementReader:
    """One statement file being read; see `ingest.contract.rows.Reader`."""

    record_type = STATEMENTS
    counted_table = LINES.table
    zone: str | None = None
    facts = Facts()

    def __init__(self, stream: BinaryIO, *, name: str) -> None:
        self._stream = stream
        self._name = name
        self._header: Values = {}
        self._statement: Statement | None = None
        self._details: list[Detail] = []
        self._ordinals: list[int] = []
        self._lines: list[list[Value]] = []
        self._statements: list[list[Value]] = []
        self._days: set[str] = set()
        self.warnings: list[str] = []
        self.quarantined: list[QuarantinedRow] = []
        self.control_totals: list[ControlTotal] = []
        self.cards: set[str] = set()
        self.read = 0
        self.accepted = 0

    @property
    def first_on(self) -> date | None:
        return date.fromisoformat(min(self._days)) if self._days else None

    @property
    def last_on(self) -> date | None:
        return date.fromisoformat(max(self._days)) if self._days else None

    def batches(self) -> Iterator[Batch]:
        """Yield lines as they come, then the statements. Raises `InvalidInput` where the file is no statement."""
        for element in finished_elements(self._stream, ("GrpHdr", "TxDtls", "Ntry", "Stmt"), name=self._name):
            match element.tag.rpartition("}")[2]:
                case "GrpHdr":
                    self._header = header_values(element)
                case "TxDtls":
                    self._take_detail(element)
                case "Ntry":
                    self._take_entry(element)
                case "Stmt":
                    self._end_statement(element)
            if len(self._lines) >= BATCH_LINES:
                yield self._flush()
        if not self._statements:
            raise InvalidInput("the file holds no statement (Stmt).", file=self._name, line=1, remedy="Fetch it again.")
        if self._lines:
            yield self._flush()
        ordinals = range(1, len(self._statements) + 1)
        yield Batch(table=STATEMENTS.table, columns=_STATEMENT_COLUMNS, ordinals=ordinals, rows=self._statements)

    def _flush(self) -> Batch:
        batch = Batch(table=LINES.table, columns=_LINE_COLUMNS, ordinals=self._ordinals, rows=self._lines)
        self._ordinals, self._lines = [], []
        return batch

    def _take_detail(self, element: Element) -> None:
        if len(self._details) >= MAX_DETAILS:
            raise InvalidInput(
                f"an entry has more than {MAX_DETAILS} details (MAX_DETAILS).",
                file=self._name,
                line=element.sourceline,
                remedy="Have the bank send the batch as several entries, or as a camt.054 of its own.",
            )
        self._details.append(detail_values(element, element.getparent().getparent()))
        forget(element, keep=("Btch",))

    def _take_entry(self, element: Element) -> None:
        statement = self._begin_statement(element.getparent())
        entry, details = entry_values(element), self._details
        self._details = []
        statement.entries += 1
        is_split = len(details) > 1 and statement.adds_up(entry, details)
        rows = _lines_of(entry, statement.after_charges(entry, details) if is_split else details, is_split=is_split)
        faults = [line_fault(values, extra, currency=statement.currency) for values, extra in rows]
        fault = next((each for each in faults if each), None)
        cards = [card for values, extra in rows for each in _free_texts(values, extra) for card in find_cards(each)]
        if fault or cards:
            self._put_aside(entry, rows, fault=fault, cards=cards)
        else:
            statement.book(entry, details, line=entry.line)
            for place, (values, extra) in enumerate(rows, start=1 if len(rows) > 1 else 0):
                self._accept(statement, place, values, extra)
        forget(element)

    def _accept(self, statement: Statement, place: int, values: Values, extra: Extra) -> None:
        self.read += 1
        self.accepted += 1
        # What is announced has not happened, and its day has not come.
        day = (values["booked_on"] or values["value_on"]) if values["status"] == "BOOK" else None
        if day:
            self._days.add(day)
        self._ordinals.append(self.read)
        self._lines.append(
            [
                *(statement.ordinal, statement.entries, place),
                *(values[column.name] for column in LINES.stored),
                orjson.dumps(extra).decode(),
            ]
        )

    def _put_aside(
        self, entry: Entry, rows: list[tuple[Values, Extra]], *, fault: Fault | None, cards: list[str]
    ) -> None:
        self.read += 1
        self.cards.update(cards)
        said = [{name: value for name, value in values.items() if value} | dict(extra) for values, extra in rows]
        shown = orjson.dumps(said).decode()
        self.quarantined.append(
            put_aside(
                ordinal=self.read, line=entry.line, fault=fault, shown=shown, original=shown.encode(), cards=cards
            )
        )
        refuse_too_many(self.quarantined, cards=self.cards, name=self._name)

    def _begin_statement(self, element: Element) -> Statement:
        if self._statement is None:
            if len(self._statements) >= MAX_STATEMENTS:
                raise InvalidInput(
                    f"more than {MAX_STATEMENTS} statements (MAX_STATEMENTS).",
                    file=self._name,
                    line=element.sourceline,
                    remedy="Have the bank send one file a day.",
                )
            self._statement = Statement(
                ordinal=len(self._statements) + 1,
                values=statement_values(element, self._header),
                extra=statement_extra(element, self._header),
                summary=statement_summary(element),
                file=self._name,
                line=element.sourceline or 1,
            )
        return self._statement

    def _end_statement(self, element: Element) -> None:
        statement = self._begin_statement(element)
        self.control_totals += statement.totals()
        self.warnings += statement.warnings
        self._statements.append(
            [*(statement.values[column.name] for column in STATEMENTS.stored), orjson.dumps(statement.extra).decode()]
        )
        closing_on = statement.values["closing_on"]
        if closing_on:
            self._days.add(closing_on)
        self._statement = None
        forget(element)


def _lines_of(entry: Entry, details: list[Detail], *, is_split: bool) -> list[tuple[Values, Extra]]:
    """Return the lines of an entry: its details when it `is_split` by their amounts, else itself."""
    empty: Values = {column.name: None for column in LINES.columns}
    if is_split:
        return [
            (
                {
                    **empty,
                    **entry.values,
                    **_given(detail.values),
                    "amount": detail.amount,
                    "currency": detail.currency,
                    "indicator": detail.indicator or entry.values["indicator"],
                },
                {**entry.extra, **detail.extra, **merged([entry.texts, detail.texts]).extra()},
            )
            for detail in details
        ]
    texts = merged([entry.texts, *(each.texts for each in details)]).extra()
    if len(details) == 1:
        return [({**empty, **entry.values, **_given(details[0].values)}, {**entry.extra, **details[0].extra, **texts})]
    narrative = " / ".join(dict.fromkeys(filter(None, (each.values["remittance"] for each in details))))
    return [
        (
            {**empty, **entry.values, **_agreed(details), "remittance": narrative or None},
            {**entry.extra, **texts},
        )
    ]


def _agreed(details: list[Detail]) -> Values:
    """Return who is on the other side of an entry that stays whole, when all of its `details` say the same."""
    names = ("counterparty_name", "counterparty_iban")
    said = {name: {each.values[name] for each in details} for name in names}
    return {name: next(iter(values)) for name, values in said.items() if len(values) == 1}


def _free_texts(values: Values, extra: Extra) -> list[str]:
    """Return where people write, the narrative that has no column included."""
    return [text for text in (*(values[name] for name in _FREE_TEXT), *extra.get("texts", ())) if text]


def _given(values: Values) -> Values:
    return {name: value for name, value in values.items() if value is not None}


def _another_message(namespace: str, local: str, name: str) -> InvalidInput:
    message = namespace.rpartition(":")[2]
    if message.startswith("camt.053"):
        problem = f"the statement is {message}; read are {STATEMENTS.reports[0]} to {STATEMENTS.reports[-1]}."
        remedy = "Have the bank send one of these versions."
    elif message.startswith("camt.052"):
        problem, remedy = (
            f"this is {message}, an intraday report, which is not final.",
            "Fetch the statement, camt.053.",
        )
    elif message.startswith("camt.054"):
        problem, remedy = f"this is {message}, a notification without balances.", "Fetch the statement, camt.053."
    else:
        problem = f"the root element is {local} in {namespace or 'no namespace'}; a statement is a camt.053 Document."
        remedy = "Check that the right file was fetched."
    return InvalidInput(problem, file=name, line=1, remedy=remedy)
