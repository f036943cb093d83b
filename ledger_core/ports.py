"""What the rest of the house may ask of a ledger, whether it lives in this process or behind HTTP.

Rooms above depend on `LedgerPort` and the values here, never on how a posting becomes durable and signed. What a kind
of record is, and how a room above brings one of its own, is in `ledger_core.kinds`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from ledger_core.actor import Actor
from ledger_core.errors import CounterfoilError, DependencyError
from ledger_core.journal.entries import EntryDraft
from ledger_core.log.merkle import NodeReader, inclusion_path

if TYPE_CHECKING:
    from psycopg import Connection


class Draft(Protocol):
    """Something to be appended, not yet judged: an `EntryDraft`, an `AccountDraft`, a `RecordDraft`.

    `kind` names the kind of record that it becomes.
    """

    @property
    def kind(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDraft:
    """A record of a kind that has no draft of its own; the ledger adds the member `actor` to `body`."""

    kind: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Who asks for what is appended, and how a repetition of it is known.

    `route` and `key` are the scope of idempotency (the kind's own route by default); `fingerprint` (32 bytes) says
    whether a request with the same key is the same, and is that of the drafts by default. Without `wait` the answer
    comes as soon as the records are durable.
    """

    actor: Actor
    route: str | None = None
    key: str | None = None
    fingerprint: bytes | None = None
    wait: bool = True


# Not frozen, though never changed: making a frozen one takes 1.6 microseconds, a tenth of planning an entry.
@dataclass(slots=True, kw_only=True)
class Posted:
    """One record that the log took. `entry` is None for kinds other than `journal_entry`."""

    id: str
    seq: int
    kind: str
    recorded_at: datetime
    leaf_hash: bytes
    canonical: bytes
    entry: EntryDraft | None = None
    action: str | None = None
    """What an account's record says happened: `created`, `changed`, `frozen` or `closed`."""
    said: Mapping[str, Any] | None = None
    """What a ledger behind HTTP answered of the record, whose bytes stay there."""

    @property
    def commitments(self) -> Mapping[str, str]:
        """Return what the record commits to, by name: read from its bytes, which hold none of nearly every entry."""
        if b'"commitments":' not in self.canonical:
            return {}
        found: Mapping[str, str] = orjson.loads(self.canonical)["body"].get("commitments", {})
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """One item that the books refused; its neighbours are not concerned."""

    error: CounterfoilError


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """Something that already is what was asked for: nothing was appended. `code` names it."""

    code: str
    stands: int = field(default=0, compare=False)
    """The size that covers the record which made it so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """One account that a ledger behind HTTP opened or changed: all that its answer says of the record."""

    code: str
    seq: int
    action: str


Item = Posted | Declined | Unchanged | Applied


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one request, item by item in its order.

    `checkpoint` is the signed note of the smallest stored checkpoint that covers every posted item, and
    `size` its tree size; both are a function of the request's place in the log, so that a replay repeats them
    byte for byte. When nothing was posted they are None and a signed size that covers whatever was said to
    stand already; when the caller did not wait, None and the durable size.
    """

    items: tuple[Item, ...]
    replayed: bool
    checkpoint: str | None
    size: int
    tree: NodeReader | None = None
    from_memory: bool = False
    """Whether `inclusion` needs no database, so that an event loop may call it."""

    def inclusion(self, item: Posted) -> list[bytes]:
        """Return the audit path of `item` in the tree of `size` leaves (RFC 6962 section 2.1.1)."""
        assert self.tree is not None, "only a signed answer proves inclusion"
        return inclusion_path(item.seq, self.size, self.tree)

    @property
    def posted(self) -> tuple[Posted, ...]:
        return tuple(item for item in self.items if isinstance(item, Posted))

    @property
    def only(self) -> Posted:
        """Return the one record of an answer to one draft. Raises what the books refused it with."""
        (item,) = self.items
        if isinstance(item, Declined):
            raise item.error
        assert isinstance(item, Posted), "nothing was appended"
        return item


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A request on its way; `future` yields its answer once the signature is stored, or raises."""

    future: Future[Answer]
    overdue: Callable[[], DependencyError]
    """Return what to tell a caller who stops waiting: late signature, or not sequenced yet."""


class ErasableFiles(Protocol):
    """The room that keeps files, as far as their erasure needs it; asked in the transaction of the record."""

    @property
    def table(self) -> str:
        """The table of the keys, for whoever is told of one."""
        ...

    @property
    def held_query(self) -> str:
        """The query of those ids among `%(files)s` whose key is there, as text."""
        ...

    def find(self, conn: Connection[Any], book: str, references: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the ids of the files of each of `references`, ids or SHA-256; what nothing is found of is left out."""
        ...

    def drop(self, conn: Connection[Any], file_ids: Sequence[str]) -> None:
        """Drop the keys of these files; one that has none any more stays as it is."""
        ...


class SequencerObserver(Protocol):
    """Somebody who measures; called on the sequencer's threads, so it must be quick and must not raise."""

    def batch_committed(self, records: int, seconds: float) -> None: ...
    def checkpoint_signed(self, seconds: float) -> None: ...
    def signature_failed(self) -> None: ...


class LedgerPort(Protocol):
    """The one way to append to a book. Every method may be called from any thread."""

    book: str
    origin: str
    observer: SequencerObserver | None

    @property
    def fault(self) -> CounterfoilError | None:
        """Return what ended this process' right to append to the book, None while it has it."""
        ...

    def append(self, drafts: Sequence[Draft], ask: Ask, *, atomic: bool = False) -> Answer:
        """Append `drafts` in order and wait for the signature: each by itself, or all of them or none.

        A draft that the books refuse is `Declined`, its neighbours stand; when `atomic`, the first refusal is raised.
        """
        ...

    def submit(self, drafts: Sequence[Draft], ask: Ask, *, atomic: bool = False) -> list[Submission]:
        """Queue `drafts` and return at once: a submission for each part that is answered by itself."""
        ...

    def dry_run(self, draft: Draft) -> Declined | None:
        """Return the refusal that appending `draft` would get now, or None; nothing is written."""
        ...

    def close(self) -> None:
        """Let queued work finish and give the connections back."""
        ...
