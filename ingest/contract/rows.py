"""What a parser hands to the landing: batches of rows for one raw table, rows it will not vouch for, and totals.

The invariant that everything after relies on: `accepted + quarantined = read`, counted by the parser and proved
against the rows that Postgres took.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import BinaryIO, Protocol

from ingest.contract.vocabulary import Contract, RecordType

MAX_QUARANTINED_ROWS = 10_000
"""A file with more bad rows than this is another kind of file, or our parser is wrong: it is refused whole."""

Value = str | int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a row: a word for machines, a sentence for people."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedRow:
    """A row kept out of the raw tables: where it stood, why, and its text without persons and card numbers."""

    ordinal: int
    line: int
    code: str
    reason: str
    raw: str
    original: bytes | None = field(default=None, repr=False)
    """The row as it came when a card number was masked in `raw`; never stored, only its keyed hash is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows for `table`, as many values each as `columns`; `ordinals` are their places in the file."""

    table: str
    columns: tuple[str, ...]
    ordinals: Sequence[int]
    rows: Sequence[Sequence[Value]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlTotal:
    """A sum the file states about itself, beside the one its rows give."""

    name: str
    subject: str
    expected: str | None
    actual: str | None
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a file says of itself as a whole, read from all of its rows; final once they are read."""

    document_at: datetime | None = None
    """The document's own time: the last instant that it speaks of. Which of two documents is newer is asked of it."""
    selected_from: date | None = None
    """First day, in UTC, on the axis by which its provider selects rows for such a report."""
    selected_to: date | None = None
    time_zone: str | None = None
    """The zone of its times."""
    time_zone_said_by: str | None = None
    """`columns` (it has its times in UTC), `setting` or `contract`."""


class Reader(Protocol):
    """One file being parsed. Counts and totals are final once `batches` is exhausted."""

    record_type: RecordType
    counted_table: str
    """The raw table whose rows are counted: containers such as statements are not."""
    warnings: list[str]
    quarantined: list[QuarantinedRow]
    control_totals: list[ControlTotal]
    cards: set[str]
    """Card numbers as they stand in the file, to be masked in the stored bytes."""
    zone: str | None
    """The zone of a file that has its times in no zone of its own; None for the contract's."""
    read: int
    accepted: int

    @property
    def first_on(self) -> date | None:
        """The first day with a row."""

    @property
    def last_on(self) -> date | None:
        """The last day with a row."""

    @property
    def facts(self) -> Facts:
        """What the file says of itself."""

    def batches(self) -> Iterator[Batch]:
        """Yield the file's rows in order. Raises `InvalidInput` when the file is not what it should be."""


class Parse(Protocol):
    """The entry of a source's parser: pure, bytes in and rows out."""

    def __call__(self, stream: BinaryIO, *, name: str) -> Reader: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source: what it promises and how its bytes are read."""

    contract: Contract
    parse: Parse
