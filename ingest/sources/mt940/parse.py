"""MT940 statements, bytes in and rows out: one pass, an entry at a time.

A line for each `:61:` with the `:86:` that follow it. An entry that cannot be read is put aside, which its statement's
balance tells; a statement without account or currency, and a file that ends inside a statement, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import BinaryIO

import orjson

from ingest.contract.cards import cards_of, find_cards
from ingest.contract.rows import Batch, ControlTotal, Facts, Fault, QuarantinedRow, Value
from ingest.contract.vocabulary import MAX_FIELD_CHARS
from ingest.formats.mt940.entry import EXPECTED, MARKS, REVERSALS, StatementLine, read_line
from ingest.formats.mt940.fields import END, ENVELOPE, PREAMBLE, Field, Fields
from ingest.formats.mt940.narrative import Narrative, read_narrative, read_ns
from ingest.landing.quarantine import put_aside, refuse_too_many
from ingest.sources.mt940.contract import LINES, STATEMENTS
from ingest.sources.mt940.statement import SIDES, Statement, minor_of, moment_of
from ledger_core.errors import InvalidAmount, InvalidInput

BATCH_LINES = 2_000
MAX_STATEMENTS = 100_000

_LINE_COLUMNS = (
    "statement_ordinal",
    "entry_ordinal",
    "detail_ordinal",
    *(column.name for column in LINES.stored),
    "extra",
)
_STATEMENT_COLUMNS = (*(column.name for column in STATEMENTS.stored), "extra")
_INTERIM = frozenset({"34F", "90C", "90D"})
"""Fields of an intraday report, MT942."""
_OUTPUT = re.compile(r"\{2:O(\d{3})(\d{4})(\d{6})([A-Z0-9]{8,12})")
_INPUT = re.compile(r"\{2:I(\d{3})")
_SENDER = re.compile(r"\{1:F\d\d([A-Z0-9]{8})")
_POINTERS = {each + plus for each in ("EREF", "KREF", "MREF", "PREF", "MARF", "CREF") for plus in ("", "+")}
"""In the place of a reference: where in the `:86:` it stands."""


def parse(stream: BinaryIO, *, name: str) -> StatementReader:
    """Return a reader of the statements in `stream`."""
    return StatementReader(stream, name=name)


class StatementReader:
    """One statement file being read; see `ingest.contract.rows.Reader`."""

    record_type = STATEMENTS
    counted_table = LINES.table
    zone: str | None = None
    facts = Facts()

    def __init__(self, stream: BinaryIO, *, name: str) -> None:
        self._fields = Fields(stream, name=name)
        self._name = name
        self._envelope: dict[str, str] = {}
        self._is_enveloped = False
        self._ended = 0
        self._statement: Statement | None = None
        self._pending: list[Field] = []
        self._pages: list[list[Value]] = []
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
        for each in self._fields:
            self._take(each)
            if len(self._lines) >= BATCH_LINES:
                yield self._flush()
        self._end_file()
        if self._lines:
            yield self._flush()
        ordinals = range(1, len(self._statements) + 1)
        yield Batch(table=STATEMENTS.table, columns=_STATEMENT_COLUMNS, ordinals=ordinals, rows=self._statements)

    def _flush(self) -> Batch:
        batch = Batch(table=LINES.table, columns=_LINE_COLUMNS, ordinals=self._ordinals, rows=self._lines)
        self._ordinals, self._lines = [], []
        return batch

    def _take(self, each: Field) -> None:
        line, tag, text = each
        if tag in ("86", "NS"):
            if self._pending:
                self._pending.append(each)
            elif self._statement is not None and tag == "86":
                self._statement.take(tag, text, line=line)
            return
        if self._pending:
            self._take_entry()
        match tag:
            case "61":
                self._open(line, tag)
                self._pending = [each]
            case "20":
                self._end_statement()
                self._begin_statement(line, text)
            case str() if tag == ENVELOPE:
                self._take_envelope(line, text)
            case str() if tag == END:
                self._is_enveloped = False
                self._ended += self._statement is not None
                self._end_statement()
            case str() if tag == PREAMBLE:
                pass
            case str() if tag in _INTERIM and (self._statement is None or not self._statement.is_closed):
                raise self._intraday(line)
            case _:
                self._open(line, tag).take(tag, text, line=line)

    def _open(self, line: int, tag: str) -> Statement:
        """Return the statement that a field belongs to. Raises `InvalidInput` where there is none."""
        statement = self._statement
        if statement is None:
            raise InvalidInput(
                f":{tag}: stands outside a statement, which begins with :20:.",
                file=self._name,
                line=line,
                remedy="It was cut or changed on its way: fetch it again.",
            )
        if tag in ("61", "60F", "60M") and statement.is_closed:
            raise InvalidInput(
                f":{tag}: stands after the closing balance of statement {statement.ordinal}.",
                file=self._name,
                line=line,
                remedy="It was cut or changed on its way: fetch it again.",
            )
        if tag == "61" and not statement.currency:
            raise InvalidInput(
                f"statement {statement.ordinal} has an entry before its opening balance (:60F:), "
                "so that nothing says in which currency it is.",
                file=self._name,
                line=line,
                remedy="Ask the bank for the statement with its balances; nothing of it was kept.",
            )
        return statement

    def _take_envelope(self, line: int, text: str) -> None:
        self._end_statement()
        self._is_enveloped = text.endswith("{4:")
        output, sender = _OUTPUT.search(text), _SENDER.search(text)
        kind = output or _INPUT.search(text)
        if kind is not None and kind[1] == "942":
            raise self._intraday(line)
        self._envelope = {}
        if output is not None:
            self._envelope = {"servicer": output[4][:8]}
            if moment := moment_of(output[3] + output[2]):
                self._envelope["created_at"] = moment
        elif sender is not None:
            self._envelope = {"servicer": sender[1]}

    def _begin_statement(self, line: int, text: str) -> None:
        if len(self._statements) >= MAX_STATEMENTS:
            raise InvalidInput(
                f"more than {MAX_STATEMENTS} statements (MAX_STATEMENTS).",
                file=self._name,
                line=line,
                remedy="Have the bank send one file a day.",
            )
        self._statement = Statement(ordinal=len(self._statements) + 1, file=self._name, line=line)
        self._statement.values["statement_id"] = " ".join(text.split())[:MAX_FIELD_CHARS]
        if "created_at" in self._envelope:
            self._statement.values["created_at"] = self._envelope["created_at"]
        if "servicer" in self._envelope:
            self._statement.extra["servicer"] = self._envelope["servicer"]

    def _end_statement(self) -> None:
        statement, self._statement = self._statement, None
        if statement is None:
            return
        statement.hold()
        self.control_totals += statement.totals()
        values = statement.values
        self._days |= {values[name] for name in ("closing_on",) if name in values}
        self._number_page(statement)
        row: list[Value] = [
            *(values.get(column.name, "") for column in STATEMENTS.stored),
            orjson.dumps(statement.extra).decode(),
        ]
        self._statements.append(row)
        self._pages = [*(self._pages if statement.continues else []), row]
        if values.get("is_last_page", "true") == "true" and "closing_on" in values:
            place = _STATEMENT_COLUMNS.index("ends_on")
            for page in self._pages:
                page[place] = values["closing_on"]
            self._pages = []

    def _number_page(self, statement: Statement) -> None:
        """Number a page that has no number of its own, and forget pages that it does not follow."""
        values, before = (
            statement.values,
            dict(zip(_STATEMENT_COLUMNS, self._pages[-1] if self._pages else (), strict=False)),
        )
        same = ("account", "currency", "sequence")
        if not statement.continues or any(before.get(name) != values.get(name, "") for name in same):
            self._pages = []
        if values.get("page"):
            return
        pages = len(self._pages)
        # What continues nothing that is here is at least the second.
        values["page"] = str(pages + 1 if pages else 1 + statement.continues)

    def _end_file(self) -> None:
        """End what is open. Raises `InvalidInput` where the file ends inside a statement or holds none."""
        if self._pending:
            self._take_entry()
        statement = self._statement
        if statement is not None and (not statement.is_closed or self._is_enveloped):
            missing = "end ('-}')" if statement.is_closed else "closing balance (:62F:)"
            raise InvalidInput(
                f"the file ends before the {missing} of statement {statement.ordinal}: it was cut.",
                file=self._name,
                line=statement.line,
                remedy="Fetch it again.",
            )
        self._end_statement()
        if not self._statements:
            raise InvalidInput(
                "the file holds no statement (:20: to :62F:).", file=self._name, line=1, remedy="Fetch it again."
            )
        if statement is not None and self._ended:
            self.warnings.append(
                "the last statement has no end ('-'), as others of the file have: it may have been cut."
            )

    def _take_entry(self) -> None:
        pending, self._pending = self._pending, []
        statement = self._statement
        assert statement is not None
        statement.entries += 1
        self.read += 1
        line = read_line(pending[0][2])
        if isinstance(line, Fault):
            self._put_aside(pending, line, cards=_cards_in(pending))
            return
        narrative = _narrative_of(pending[1:], line)
        minor, fault = _minor_of(line, statement.currency, pending)
        cards = cards_of([*narrative.texts, line.supplementary])
        if fault or cards:
            self._put_aside(pending, fault, cards=cards)
            return
        self.accepted += 1
        if line.mark not in EXPECTED:
            statement.add(minor)
            self._date(statement, line.booked_on)
        self._ordinals.append(self.read)
        self._lines.append(_row(statement, line, narrative))

    def _date(self, statement: Statement, booked_on: str) -> None:
        if booked_on:
            self._days.add(booked_on)
            first = statement.values.get("entered_from")
            if first is None or booked_on < first:
                statement.values["entered_from"] = booked_on

    def _put_aside(self, pending: list[Field], fault: Fault | None, *, cards: list[str]) -> None:
        shown = "\n".join(f":{tag}:{text}" for _, tag, text in pending)
        written = {card: _as_written(card, shown) for card in cards}
        self.cards.update(each.replace("\n", self._fields.newline) for each in written.values())
        self.quarantined.append(
            put_aside(
                ordinal=self.read,
                line=pending[0][0],
                fault=fault,
                shown=shown,
                original=shown.encode(),
                cards=list(written.values()),
            )
        )
        refuse_too_many(self.quarantined, cards=self.cards, name=self._name)

    def _intraday(self, line: int) -> InvalidInput:
        return InvalidInput(
            "this is an MT942, an intraday report, which is not final.",
            file=self._name,
            line=line,
            remedy="Fetch the statement, MT940.",
        )


def _narrative_of(fields: list[Field], line: StatementLine) -> Narrative:
    """Return what the `:86:`, or the `:NS:` of banks that write that, say of an entry; several are one."""
    if not fields:
        return Narrative()
    text = fields[0][2] if len(fields) == 1 else "\n".join([text for _, _, text in fields])
    if fields[0][1] == "NS":
        return read_ns(text)
    return read_narrative(text, credit=MARKS[line.mark] == "C", reversal=line.mark in REVERSALS)


def _minor_of(line: StatementLine, currency: str, pending: list[Field]) -> tuple[int, Fault | None]:
    """Return what an entry moves, or why it cannot be read."""
    for _, tag, text in pending:
        if len(text) > MAX_FIELD_CHARS:
            limit = f"{MAX_FIELD_CHARS} (MAX_FIELD_CHARS)"
            return 0, Fault(code="too_long", reason=f":{tag}: has {len(text)} characters; the limit is {limit}.")
    try:
        return SIDES[MARKS[line.mark]] * minor_of(line.amount, currency), None
    except InvalidAmount as error:
        return 0, Fault(code="bad_amount", reason=f":61: {error.message}")


def _row(statement: Statement, line: StatementLine, said: Narrative) -> list[Value]:
    """Return an entry in the order of `_LINE_COLUMNS`."""
    customer = line.customer_reference
    references = [
        each
        for each in (
            *("" if customer in _POINTERS else customer, line.bank_reference, said.end_to_end_id),
            *(said.instruction_id, said.mandate_id, said.structured_reference),
        )
        if each
    ]
    extra: dict[str, object] = dict(said.extra)
    if said.parties:
        extra["parties"] = said.parties
    if references:
        extra["references"] = list(dict.fromkeys(references))
    if said.texts or line.supplementary:
        extra["texts"] = [*said.texts, line.supplementary] if line.supplementary else said.texts
    if said.bic:
        extra["counterparty_bic"] = said.bic
    if said.creditor_id:
        extra["creditor_id"] = said.creditor_id
    return [
        *(str(statement.ordinal), str(statement.entries), "0"),
        *(line.amount, statement.currency, line.mark, MARKS[line.mark], line.funds_code, line.booked_on),
        *(line.value_on, line.type, line.customer_reference, line.bank_reference, line.supplementary),
        *(said.code, said.end_to_end_id, said.instruction_id, said.mandate_id, said.structured_reference),
        *(said.remittance, said.name, said.account, said.posting_text),
        orjson.dumps(extra).decode(),
    ]


def _cards_in(fields: list[Field]) -> list[str]:
    """Return the card numbers of an entry that nobody can tell apart."""
    return [card for _, _, text in fields for each in (text, text.replace("\n", "")) for card in find_cards(each)]


def _as_written(card: str, text: str) -> str:
    """Return a card number as it stands in `text`, over the end of a line or a subfield if it does."""
    digits = [each for each in card if each.isdigit()]
    found = re.search(r"(?:[ -]|\n|[?><~^]\d\d){0,5}".join(digits), text)
    return found[0] if found else card
