"""What a kind of record is: one class a kind, from the draft handed in to the table that a check re-derives.

The ledger's own kinds are in `book/kinds/`. A room above brings its own by handing instances to `open_runtime`; they
pass the same door, stand in the same log, and may stand in one atomic group with entries. What each hook may do
follows from where it runs:

* `prepare` on the caller's thread: no database, no lock. Whatever can be worked out there is.
* `read_facts` and `judge` under the lock of the book's head: set-wise reads once a batch, then one judgement an item.
* `project` in the same transaction, after the records are copied.
* `recall` in a replay, from the signed bytes alone: what comes of it passes `place` and `project` as a post does.
* `derive` in a check, from the signed bytes alone, and on purpose by other lines than `place` and `project`.

Invariant: a projection is a function of the records, or `counterfoil check` could not prove it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ledger_core.actor import Actor
from ledger_core.errors import InvalidInput
from ledger_core.journal.cards import refuse_cards, texts_of
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.record import MAX_RECORD_BYTES, Record
from ledger_core.log.shapes import Shape, check_members
from ledger_core.ports import Draft, RecordDraft, Unchanged

if TYPE_CHECKING:
    from psycopg import Connection

ENVELOPE_BYTES = 360
"""More than what a record has around its body: names, id, `prev`, time, and a book and a kind of 63 characters."""

MAX_BODY_BYTES = MAX_RECORD_BYTES - ENVELOPE_BYTES


class Prepared(Protocol):
    """A draft ready for the lock."""

    @property
    def kind(self) -> Kind: ...

    @property
    def body(self) -> bytes:
        """Return its canonical body, empty where only the lock can tell it."""
        ...

    @property
    def may_plan_ahead(self) -> bool:
        """Say whether it may be judged while the batch before is still being written, by what its plan knows."""
        ...


@dataclass(slots=True, kw_only=True)
class PreparedRecord:
    """A record ready for the lock; `members` are those of its body."""

    kind: Kind
    body: bytes
    members: Mapping[str, Any]

    may_plan_ahead: ClassVar[bool] = False


@dataclass(slots=True)
class Accepted:
    """One record to append: the item, its canonical body, and what its kind's projection needs besides."""

    item: Any
    body: bytes
    detail: Any = None


class BookView(Protocol):
    """The book as one batch sees it."""

    book: str


class Judging(Protocol):
    """The judgement of one batch, as far as it has come."""

    book: str
    seq: int
    """Where the item that is being judged will stand if it is accepted."""


class Derivation(Protocol):
    """One kind's tables, re-derived record by record and compared with what is stored."""

    def take(self, seq: int, record: Record) -> None:
        """Derive one record of the kind. Raises `KeyError`, `TypeError` or `ValueError` for a body that is none."""
        ...

    def skip(self, seq: int) -> None:
        """Leave out what a damaged record may have said."""
        ...

    def finish(self) -> dict[str, int]:
        """Report what is stored beyond the derivation; return the rows compared by table."""
        ...


class Comparison(Protocol):
    """One table against its re-derivation, both in the order of the key."""

    def expect(self, derived: tuple[Any, ...]) -> None:
        """Take the next row that the log says must be stored."""
        ...

    def skip(self, first_key: Any) -> None:
        """Pass over stored rows of a record that is damaged and says nothing."""
        ...

    def finish(self) -> int:
        """Report what the table holds beyond the derivation; return how many rows were expected."""
        ...


class Checking(Protocol):
    """A check of one book, as a kind's derivation sees it."""

    book: str
    origin: str

    def compare(self, query: str, *, table: str, columns: Sequence[str], key_length: int = 1) -> Comparison:
        """Compare the rows of `query` (ordered by their key, `%(book)s` filled in, seq first) with what is expected."""
        ...

    def report(self, seq: int | None, table: str, detail: str) -> None:
        """Keep a contradiction between `table` and the log that no comparison shows."""
        ...

    def report_edited(self, seq: int, detail: str) -> None:
        """Keep that the record at `seq` is not what it should be."""
        ...


# Compared by identity: kinds are keys where every entry passes.
@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of record. What is here serves a kind without rules or tables of its own; others override it."""

    name: str
    shape: Shape
    scope: str = ""
    """What a caller over HTTP must hold to append one as a `RecordDraft`; empty where that is not possible."""
    writes_rows: ClassVar[bool] = False
    """Whether `place` is called for each accepted item: for the kinds whose tables are filled by COPY."""
    may_be_void: ClassVar[bool] = False
    """Whether a later record may call one of these void: a replay projects them when it has seen all."""

    def accepts(self, draft: Draft) -> bool:
        """Say whether `draft` is what this kind is appended by."""
        return isinstance(draft, RecordDraft)

    def route(self, draft: Draft) -> str:
        """Return the scope of idempotency of a request that names none."""
        return f"records/{draft.kind}"

    def document(self, draft: Any) -> Any:
        """Return what a request's fingerprint is taken over: everything that `draft` says."""
        return {"kind": draft.kind, "body": dict(draft.body)}

    def prepare(self, draft: Any, actor: Actor, who: bytes) -> Any:
        """Return `draft` ready for the lock; `who` is the canonical form of `actor`.

        Raises `InvalidInput` or `Refused` for what no book could allow.
        """
        del who
        members = {**draft.body, "actor": actor.as_body()}
        # What is appended stays for ever: a body that no verifier accepts would make the book unexportable.
        check_members(self.name, members, {self.name: self.shape})
        refuse_cards(texts_of(dict(draft.body), "/body"))
        body = canonical_bytes(members)
        check_size(body)
        return PreparedRecord(kind=self, body=body, members=members)

    def read_facts(self, conn: Connection[Any], view: Any, items: Sequence[Any], before: Any) -> Any:
        """Return what judging `items`, all of a batch's that are of this kind, needs of the database.

        `before` are the facts of the batch that is still being written: None under the lock, for a batch without this
        kind, and for every kind whose items do not say `may_plan_ahead`.
        """
        del conn, view, items, before

    def judge(self, judging: Any, item: Any, facts: Any) -> Accepted | Unchanged:
        """Say what becomes of `item`, with the effect of the items before it. Raises `Refused`, having changed nothing.

        Any error that is not a `CounterfoilError` is a defect: it stops the book in this process, nothing is written.
        """
        del judging, facts
        return Accepted(item, item.body)

    def undo(self, judging: Any, accepted: Accepted, facts: Any) -> None:
        """Take back what judging `accepted` changed: its atomic group was refused."""

    def settle(self, conn: Connection[Any], book: str, facts: Any, *, size: int) -> Mapping[int, int]:
        """Finish refusals that need one more read; return, by `id` of the error, the size that covers what it names.

        `size` is the book's with this batch. Reads alone: a dry run asks it too.
        """
        del conn, book, facts, size
        return {}

    def mend(self, conn: Connection[Any], book: str, facts: Any) -> None:
        """Do again what stands in the log already and was undone past the books, of what this batch asked for."""
        del conn, book, facts

    def place(self, facts: Any, rows: Any, accepted: Accepted, seq: int, raw_id: bytes, id: str) -> Any:
        """Add the rows of `accepted` to `facts`, and return what `Posted.entry` is to be."""
        raise AssertionError(f"{self.name} writes no rows of its own")

    def streams(self, facts: Any) -> list[tuple[str, bytes]]:
        """Return the COPY statements and streams of the rows that `place` added."""
        del facts
        return []

    def action(self, accepted: Accepted) -> str | None:
        """Return what the record says happened, for the kinds whose callers ask."""
        del accepted
        return None

    def recall(self, judging: Any, record: Record) -> Accepted:
        """Return what `judge` accepted when `record` was appended, for a book that is rebuilt from its records.

        Judges nothing: that was done. A kind whose `project` or `place` reads more than `item.members` says here where
        that comes from; it may only come from the records up to this one. Changes `judging` as `judge` did.
        """
        del judging
        return Accepted(PreparedRecord(kind=self, body=b"", members=record.body), b"")

    def recall_facts(self) -> Any:
        """Return the facts for one batch of recalled records, which `place` adds rows to."""
        return None

    def voided_by(self, record: Record) -> int | None:
        """Return the seq of the earlier record that `record`, of this kind, calls void; None for nearly every one."""
        del record
        return None

    def project(self, conn: Connection[Any], book: str, accepted: Sequence[tuple[int, Accepted]]) -> None:
        """Write what accepted records, with their seq, mean for this kind's tables.

        Too late to refuse in the books' words: what the database refuses here falls alone, as an `IntegrityError`.
        """

    def restored(self, conn: Connection[Any], book: str) -> None:
        """Do again what records of this kind want done beside their tables: a replay brought `book` up to its log."""
        del conn, book

    def derive(self, checking: Any) -> Derivation | None:
        """Return the re-derivation of this kind's tables, None for a kind without any."""
        del checking
        return None


def check_size(body: bytes) -> None:
    """Raise `InvalidInput` for a body that no record could hold."""
    if len(body) > MAX_BODY_BYTES:
        raise InvalidInput(
            f"the record has {len(body):,} bytes; {MAX_BODY_BYTES:,} are the most.",
            remedy="Split the entry, or put bulky evidence elsewhere and record its digest.",
        )
