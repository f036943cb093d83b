"""What the rest of the house may ask of a ledger, whether it lives in this process or behind HTTP.

Rooms above depend on `LedgerPort` and the values here, never on how a posting becomes durable and signed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ledger_core.actor import Actor
from ledger_core.errors import CounterfoilError, DependencyError
from ledger_core.journal.accounts import AccountDraft
from ledger_core.journal.entries import EntryDraft
from ledger_core.log.merkle import NodeReader, inclusion_path


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """One item that the books refused; its neighbours are not concerned."""

    error: CounterfoilError


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """One account that already is what was asked for: nothing was appended."""

    code: str


Item = Posted | Declined | Unchanged


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


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedAccounts:
    """How many accounts a chart created, changed and found as they should be."""

    created: int
    changed: int
    unchanged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A request on its way; `future` yields its answer once the signature is stored, or raises."""

    future: Future[Answer]
    overdue: Callable[[], DependencyError]
    """Return what to tell a caller who stops waiting: late signature, or not sequenced yet."""


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

    def post_entries(
        self,
        entries: Sequence[EntryDraft],
        *,
        actor: Actor,
        route: str = "journal-entries",
        key: str | None = None,
        fingerprint: bytes | None = None,
        atomic: bool = False,
        wait: bool = True,
    ) -> Answer: ...

    def submit_entries(
        self,
        entries: Sequence[EntryDraft],
        *,
        actor: Actor,
        route: str = "journal-entries",
        key: str | None = None,
        fingerprint: bytes | None = None,
        atomic: bool = False,
    ) -> list[Submission]: ...

    def apply_accounts(
        self, accounts: Sequence[AccountDraft], *, actor: Actor, key: str | None = None
    ) -> AppliedAccounts: ...

    def open_account(self, draft: AccountDraft, *, actor: Actor, key: str | None = None) -> Answer: ...

    def change_account(
        self,
        code: str,
        *,
        actor: Actor,
        status: str | None = None,
        overdraft: str | None = None,
        metadata: Mapping[str, str] | None = None,
        key: str | None = None,
        expected_seq: int | None = None,
    ) -> Answer: ...

    def append_record(self, kind: str, body: Mapping[str, Any], *, actor: Actor, key: str | None = None) -> Posted: ...

    def answer_record(self, kind: str, body: Mapping[str, Any], *, actor: Actor, key: str | None = None) -> Answer: ...

    def reverse(
        self,
        entry_id: str,
        *,
        actor: Actor,
        effective_at: datetime | None = None,
        external_id: str | None = None,
        description: str | None = None,
        key: str | None = None,
    ) -> Answer: ...

    def dry_run(self, entry: EntryDraft) -> Declined | None: ...

    def close(self) -> None: ...
