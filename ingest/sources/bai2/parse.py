"""BAI2 reports, bytes in and rows out: one pass, a detail at a time.

A line for each detail (16) with all that continues it. A detail that cannot be read is put aside and counts in the
sums of its trailers, not in the balance; records out of their order, a trailer that is missing and a group that must
not count refuse the file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import BinaryIO

import orjson

from ingest.contract.cards import cards_of, find_cards
from ingest.contract.rows import Batch, ControlTotal, Facts, Fault, QuarantinedRow, Value
from ingest.contract.vocabulary import MAX_FIELD_CHARS
from ingest.formats.bai2.details import AMOUNT, Detail, detail_of, side_of
from ingest.formats.bai2.records import Record, Records
from ingest.formats.bai2.texts import Said, read_text
from ingest.landing.quarantine import put_aside, refuse_too_many
from ingest.sources.bai2.contract import LINES, STATEMENTS
from ingest.sources.bai2.levels import (
    Account,
    FileLevel,
    Group,
    Level,
    account_level,
    file_of,
    group_of,
    refused,
    statement_values,
    too_large,
)
from ledger_core.errors import InvalidInput

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
_ACCOUNT_TOTALS = ("account_total", "", "account_records")
_GROUP_TOTALS = ("group_total", "group_accounts", "group_records")
_FILE_TOTALS = ("file_total", "file_groups", "file_records")


def parse(stream: BinaryIO, *, name: str) -> ReportReader:
    """Return a reader of the report in `stream`."""
    return ReportReader(stream, name=name)


class ReportReader:
    """One report being read; see `ingest.contract.rows.Reader`."""

    record_type = STATEMENTS
    counted_table = LINES.table
    zone: str | None = None
    facts = Facts()

    def __init__(self, stream: BinaryIO, *, name: str) -> None:
        self._records = Records(stream, name=name)
        self._name = name
        self._file: FileLevel | None = None
        self._group: Group | None = None
        self._account: Account | None = None
        self._files = 0
        self._groups = 0
        self._ordinals: list[int] = []
        self._lines: list[list[Value]] = []
        self._statements: list[list[Value]] = []
        self._seen: Counter[tuple[str, ...]] = Counter()
        self._days: set[str] = set()
        self.warnings: list[str] = self._records.warnings
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
        """Yield lines as they come, then the statements. Raises `InvalidInput` where the file is no report."""
        for record in self._records:
            self._take(record)
            if len(self._lines) >= BATCH_LINES:
                yield self._flush()
        self._end()
        if self._lines:
            yield self._flush()
        ordinals = range(1, len(self._statements) + 1)
        yield Batch(table=STATEMENTS.table, columns=_STATEMENT_COLUMNS, ordinals=ordinals, rows=self._statements)

    def _flush(self) -> Batch:
        batch = Batch(table=LINES.table, columns=_LINE_COLUMNS, ordinals=self._ordinals, rows=self._lines)
        self._ordinals, self._lines = [], []
        return batch

    def _take(self, record: Record) -> None:
        """Take a record where it may stand: 01 (02 (03 16* 49)* 98)* 99. Raises `InvalidInput` elsewhere."""
        match record.code, self._file, self._group, self._account:
            case "16", _, Group(), Account() as account:
                self._count(record)
                self._take_detail(record, account)
            case "03", _, Group() as group, None:
                self._begin_account(record, group)
                self._count(record)
            case "49", FileLevel() as file, Group() as group, Account() as account:
                self._count(record)
                self._end_account(record, file, group, account)
            case "02", FileLevel(), None, None:
                self._group = group_of(record, file=self._name)
                self._groups += 1
                self._count(record)
            case "98", FileLevel() as file, Group() as group, None:
                self._count(record)
                stated = group.trailer(record, file=self._name, parted=True)
                subject = f"group {self._groups} ({group.originator} {group.as_of_on})"
                self.control_totals += group.proved(_GROUP_TOTALS, subject, stated)
                file.amount += stated[0]
                file.parts += 1
                self._group = None
            case "01", None, None, None:
                self._file = file_of(record, file=self._name)
                self._files += 1
                self._count(record)
            case "99", FileLevel() as file, None, None:
                self._count(record)
                stated = file.trailer(record, file=self._name, parted=True)
                subject = f"file {self._files} ({file.sender} {file.number})"
                self.control_totals += file.proved(_FILE_TOTALS, subject, stated)
                self._file = None
            case _:
                raise refused(
                    f"the record {record.code} stands where none may: {self._place()}.",
                    self._name,
                    record,
                    remedy="It was cut or changed on its way: fetch it again.",
                )

    def _place(self) -> str:
        if self._account is not None:
            return "an account is open, which ends with 49"
        if self._group is not None:
            return "a group is open, of which an account (03) or the end (98) comes next"
        if self._file is not None:
            return "a file is open, of which a group (02) or the end (99) comes next"
        return "a file begins with 01"

    def _count(self, record: Record) -> None:
        level: Level | None
        for level in (self._file, self._group, self._account):
            if level is not None:
                level.records += record.physical

    def _begin_account(self, record: Record, group: Group) -> None:
        if len(self._statements) >= MAX_STATEMENTS:
            raise refused(
                f"more than {MAX_STATEMENTS} accounts (MAX_STATEMENTS).",
                self._name,
                record,
                remedy="Have the bank send one file a day.",
            )
        account = account_level(record, group, ordinal=len(self._statements) + 1, file=self._name)
        # A correction states again what another group stated; else an account that comes twice has two statements.
        key = (group.originator, account.account, account.currency, group.as_of_on)
        if group.status != "3":
            self._seen[key] += 1
        if self._seen[key] > 1:
            account.statement_id += f"/{self._seen[key]}"
        self._account = account

    def _end_account(self, record: Record, file: FileLevel, group: Group, account: Account) -> None:
        stated = account.trailer(record, file=self._name, parted=False)
        self.control_totals += account.proved(_ACCOUNT_TOTALS, account.subject, stated)
        self.control_totals += account.totals()
        group.amount += stated[0]
        group.parts += 1
        self._days.add(group.as_of_on)
        values = statement_values(file, group, account)
        extra = {"summaries": [each._asdict() for each in account.summaries]}
        self._statements.append([*(values[column.name] for column in STATEMENTS.stored), orjson.dumps(extra).decode()])
        self._account = None

    def _end(self) -> None:
        """Raise `InvalidInput` where the file ends inside something or holds nothing."""
        for level, code in ((self._account, "49"), (self._group, "98"), (self._file, "99")):
            if level is not None:
                raise InvalidInput(
                    f"the file ends before the trailer ({code}) of what begins here: it was cut.",
                    file=self._name,
                    line=level.line,
                    remedy="Fetch it again.",
                )
        if not self._statements:
            raise InvalidInput(
                "the file holds no account (03).", file=self._name, line=1, remedy="Fetch it again, with its details."
            )

    def _take_detail(self, record: Record, account: Account) -> None:
        group = self._group
        assert group is not None
        account.entries += 1
        self.read += 1
        detail = detail_of(record)
        if isinstance(detail, Fault):
            account.amount += _amount_in(record)
            self._put_aside(record, detail, cards=find_cards(" ".join(record.pieces)))
            return
        minor = int(detail.amount or 0)
        account.amount += minor
        side = side_of(detail.type_code) or ""
        said = read_text(detail.lines, credit=side == "C")
        fault = _fault(record, minor)
        cards = cards_of(_without_ids(said))
        if fault or cards:
            self._put_aside(record, fault, cards=cards)
            return
        self.accepted += 1
        if side:
            account.move(minor if side == "C" else -minor)
        self._ordinals.append(self.read)
        self._lines.append(_row(account, group, detail, said))

    def _put_aside(self, record: Record, fault: Fault | None, *, cards: list[str]) -> None:
        shown = record.written()
        written = {card: _as_written(card, shown) for card in cards}
        self.cards.update(each.replace("\n", self._records.newline) for each in written.values())
        self.quarantined.append(
            put_aside(
                ordinal=self.read,
                line=record.line,
                fault=fault,
                shown=shown,
                original=shown.encode(),
                cards=list(written.values()),
            )
        )
        refuse_too_many(self.quarantined, cards=self.cards, name=self._name)


def _fault(record: Record, minor: int) -> Fault | None:
    if too_large(minor):
        return Fault(code="bad_amount", reason=f"16: {minor} is more than a posting holds.")
    chars = sum(map(len, record.pieces))
    if chars > MAX_FIELD_CHARS:
        limit = f"{MAX_FIELD_CHARS} (MAX_FIELD_CHARS)"
        return Fault(code="too_long", reason=f"the record has {chars} characters; the limit is {limit}.")
    return None


def _row(account: Account, group: Group, detail: Detail, said: Said) -> list[Value]:
    """Return a detail in the order of `_LINE_COLUMNS`."""
    references = (detail.bank_reference, detail.customer_reference, *said.references)
    extra = {
        name: values
        for name, values in (
            ("parties", [said.name] if said.name else []),
            ("references", list(dict.fromkeys(filter(None, references)))),
            ("texts", said.texts),
            ("availability", detail.availability),
        )
        if values
    }
    return [
        *(str(account.ordinal), str(account.entries), "0"),
        *(detail.amount, account.currency, detail.type_code, side_of(detail.type_code) or ""),
        *(group.as_of_on, detail.value_on, detail.funds_type, detail.bank_reference, detail.customer_reference),
        *(said.end_to_end_id, said.trace_number, said.individual_id, said.company_id, said.remittance, said.name),
        orjson.dumps(extra).decode(),
    ]


def _without_ids(said: Said) -> list[str]:
    """Return the texts without the ids of the ACH network in them: these are references, and no text of people."""
    texts = said.texts
    for each in (said.trace_number, said.individual_id):
        if each:
            texts = [text.replace(each, "") for text in texts]
    return texts


def _amount_in(record: Record) -> int:
    """Return the amount of a detail that cannot be read for another reason: the trailers count it."""
    fields = record.pieces[0].split(",")
    amount = fields[1].strip().rstrip("/") if len(fields) > 1 else ""
    return int(amount) if AMOUNT.fullmatch(amount) else 0


def _as_written(card: str, text: str) -> str:
    """Return a card number as it stands in `text`, over the end of a physical record if it does."""
    digits = [each for each in card if each.isdigit()]
    found = re.search(r"(?:[ -]|/?\n88,){0,3}".join(digits), text)
    return found[0] if found else card
