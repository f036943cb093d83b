"""A swept document, bytes in and rows out: one pass, a line at a time.

The first line of each part says of which list the objects after it are, for which payout, between which times and how
many; the total `objects` holds what came against that, so a document that was cut between two lines is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, BinaryIO

import orjson

from ingest.contract.cards import find_cards
from ingest.contract.row_checks import checks_for, first_fault
from ingest.contract.rows import Batch, ControlTotal, Facts, Fault, QuarantinedRow, Value
from ingest.contract.totals import counted_total
from ingest.contract.vocabulary import MAX_FIELD_CHARS, RecordType
from ingest.landing.quarantine import put_aside, refuse_too_many
from ingest.sources.stripe_api.contract import CONTRACT
from ingest.sources.stripe_api.documents import decoded, text_of
from ledger_core.errors import InvalidInput

BATCH_ROWS = 2_000
MAX_LINE_BYTES = 4 * 1024 * 1024
"""No object of Stripe's is larger: metadata is capped at 50 values of 500 characters."""

SECONDS_A_DAY = 86_400

_BY_URL = {record_type.reports[0]: record_type for record_type in CONTRACT.record_types}
_OWN = {"id", "object"}
_WITHHELD = "[withheld]"


def parse(stream: BinaryIO, *, name: str) -> ObjectReader:
    """Return a reader of the objects in `stream`. Raises `InvalidInput` for a document that is of none of the lists."""
    return ObjectReader(stream, name=name)


class ObjectReader:
    """One swept document being read; see `ingest.contract.rows.Reader`."""

    zone: str | None = None

    def __init__(self, stream: BinaryIO, *, name: str) -> None:
        """Read the first line of `stream`. Raises `InvalidInput` when it names no list that is read here."""
        self._stream, self._name, self._line = stream, name, 0
        self._asked = self._heading(self._next_line())
        self.record_type: RecordType = self._record_type(self._asked)
        self.counted_table = self.record_type.table
        self._columns = (*(column.name for column in self.record_type.stored), "extra")
        places = {column.name: place for place, column in enumerate(self.record_type.stored)}
        self._checks = checks_for(CONTRACT, self.record_type, places)
        self._created = places["created"]
        self._free = [place for place, column in enumerate(self.record_type.stored) if column.is_free_text]
        self._of_part = 0
        self._days: set[int] = set()
        self._window: list[int] = []
        self._unknown: dict[str, None] = {}
        self.warnings: list[str] = []
        self.quarantined: list[QuarantinedRow] = []
        self.control_totals: list[ControlTotal] = []
        self.cards: set[str] = set()
        self.read = 0
        self.accepted = 0

    @property
    def first_on(self) -> date | None:
        return _at(min(self._days) * SECONDS_A_DAY).date() if self._days else None

    @property
    def last_on(self) -> date | None:
        return _at(max(self._days) * SECONDS_A_DAY).date() if self._days else None

    @property
    def facts(self) -> Facts:
        if not self._window:
            return Facts(time_zone="UTC", time_zone_said_by="contract")
        return Facts(
            document_at=_at(max(self._window)),
            selected_from=_at(min(self._window)).date(),
            # The end of a window is the first second outside of it.
            selected_to=_at(max(self._window) - 1).date(),
            time_zone="UTC",
            time_zone_said_by="contract",
        )

    def batches(self) -> Iterator[Batch]:
        """Yield the objects in the order of the document. Raises `InvalidInput` where its structure is lost."""
        ordinals: list[int] = []
        rows: list[Sequence[Value]] = []
        self._begin_part()
        while line := self._next_line():
            row = self._row(line)
            if row is not None:
                ordinals.append(self.read)
                rows.append(row)
            if len(rows) >= BATCH_ROWS:
                yield Batch(table=self.record_type.table, columns=self._columns, ordinals=ordinals, rows=rows)
                ordinals, rows = [], []
        self._end_part()
        if rows:
            yield Batch(table=self.record_type.table, columns=self._columns, ordinals=ordinals, rows=rows)
        self.warnings += [f"member {each} is unknown: kept in extra." for each in self._unknown]

    def _next_line(self) -> bytes:
        line = self._stream.readline(MAX_LINE_BYTES + 1)
        self._line += 1
        if len(line) > MAX_LINE_BYTES:
            problem, remedy = f"the line is longer than {MAX_LINE_BYTES} bytes (MAX_LINE_BYTES).", "Sweep it again."
        elif line and not line.endswith(b"\n"):
            problem, remedy = "the document ends in the middle of a line: it was cut.", "Sweep it again."
        else:
            return line
        raise InvalidInput(problem, file=self._name, line=self._line, remedy=remedy)

    def _heading(self, line: bytes) -> Mapping[str, Any]:
        try:
            asked = decoded(line.decode())
        except ValueError:
            asked = None
        if not isinstance(asked, dict) or asked.get("object") != "list" or asked.get("url") not in _BY_URL:
            raise InvalidInput(
                "the first line names no list of Stripe's.",
                file=self._name,
                line=self._line,
                remedy=f"Have `counterfoil sweep stripe` make it; it reads {', '.join(_BY_URL)}.",
            )
        window = asked.get("created")
        numbers = [
            asked.get("count"),
            *((window.get("gte"), window.get("lt")) if isinstance(window, dict) else (None,)),
        ]
        if not all(text_of(number).isdecimal() and len(text_of(number)) <= 11 for number in numbers):
            raise InvalidInput(
                "the heading does not say between which times and how many objects came (`created`, `count`).",
                file=self._name,
                line=self._line,
                remedy="Sweep it again.",
            )
        return asked

    def _record_type(self, asked: Mapping[str, Any]) -> RecordType:
        return _BY_URL[asked["url"]]

    def _begin_part(self) -> None:
        window = self._asked["created"]
        self._window += [int(text_of(window["gte"])), int(text_of(window["lt"]))]
        self._of_part = 0

    def _end_part(self) -> None:
        total = counted_total(
            name="objects",
            subject=text_of(self._asked.get("payout")),
            expected=int(text_of(self._asked["count"])),
            actual=self._of_part,
        )
        self.control_totals.append(total)

    def _row(self, line: bytes) -> list[Value] | None:
        """Return the row of an object; None for the heading of the next part, and for what is put aside."""
        try:
            value = decoded(line.decode())
        except ValueError:
            value = None
        if isinstance(value, dict) and value.get("object") == "list":
            self._end_part()
            self._asked = self._heading(line)
            if self._record_type(self._asked) is not self.record_type:
                raise InvalidInput(
                    f"a document of {self.record_type.reports[0]} goes on with {self._asked['url']}.",
                    file=self._name,
                    line=self._line,
                    remedy="Land each list in a document of its own.",
                )
            self._begin_part()
            return None
        self.read += 1
        self._of_part += 1
        if not isinstance(value, dict):
            self._put_aside(line, _WITHHELD, Fault(code="bad_json", reason="the line is no JSON object."), [])
            return None
        return self._checked(line, value)

    def _checked(self, line: bytes, value: Mapping[str, Any]) -> list[Value] | None:
        row = [self._column(column.name, value) for column in self.record_type.stored]
        extra = self._extra(value)
        fault = self._too_long(row, extra) or self._nul(row, extra) or first_fault(self._checks, row)
        cards = [card for text in (*(row[place] for place in self._free), *extra.values()) for card in find_cards(text)]
        if fault or cards:
            names = [column.name for column in self.record_type.stored]
            shown = orjson.dumps({name: each for name, each in zip(names, row, strict=True) if each} | extra).decode()
            self._put_aside(line, shown, fault, cards)
            return None
        self.accepted += 1
        self._days.add(int(row[self._created]) // SECONDS_A_DAY)
        return [*row, orjson.dumps(extra).decode()]

    def _column(self, name: str, value: Mapping[str, Any]) -> str:
        if name == "payout" and self.record_type.name == "balance_transactions":
            return text_of(self._asked.get("payout"))
        return found_in(value, name)

    def _extra(self, value: Mapping[str, Any]) -> dict[str, str]:
        """Return the members that have no column, names persons none of them; a nested one has columns of its own."""
        known = {column.name for column in self.record_type.columns}
        nested = {name for name in value if any(column.startswith(f"{name}_") for column in known)}
        extra = {
            name: text_of(each)
            for name, each in value.items()
            if name not in known and name not in _OWN and name not in nested and not CONTRACT.is_personal(name)
        }
        self._unknown.update(dict.fromkeys(name for name in extra if not CONTRACT.expects(name)))
        return {name: text for name, text in extra.items() if text}

    def _too_long(self, row: Sequence[str], extra: Mapping[str, str]) -> Fault | None:
        longest = max(map(len, (*row, *extra.values())))
        if longest <= MAX_FIELD_CHARS:
            return None
        return Fault(
            code="too_long",
            reason=f"a member has {longest} characters; the limit is {MAX_FIELD_CHARS} characters (MAX_FIELD_CHARS).",
        )

    def _nul(self, row: Sequence[str], extra: Mapping[str, str]) -> Fault | None:
        if any("\0" in each for each in (*row, *extra.values())):
            return Fault(code="bad_text", reason="a member holds a NUL character, which no text has.")
        return None

    def _put_aside(self, line: bytes, shown: str, fault: Fault | None, cards: Sequence[str]) -> None:
        self.cards.update(cards)
        self.quarantined.append(
            put_aside(ordinal=self.read, line=self._line, fault=fault, shown=shown, original=line, cards=cards)
        )
        refuse_too_many(self.quarantined, cards=self.cards, name=self._name)


def found_in(value: Mapping[str, Any], name: str) -> str:
    """Return the text of the column `name`: a member, or the way through nested ones, each step after a `_`.

    A member that Stripe wrote out where an id would do (`source`, `balance_transaction`) stands for its id.
    """
    if name in value:
        member = value[name]
        return text_of(member.get("id")) if isinstance(member, dict) and "id" in member else text_of(member)
    for step, member in value.items():
        if name.startswith(f"{step}_") and isinstance(member, dict):
            return found_in(member, name[len(step) + 1 :])
    return ""


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
