"""What the HTTP client returns: the API's answers as frozen values.

Pure: JSON in, values out. Amounts become integers, timestamps become datetimes in UTC; nothing is checked against the
log here, which is the verifier's work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Generic, TypeVar

from ledger_core.errors import CounterfoilError
from ledger_core.journal.accounts import AccountDraft
from ledger_core.journal.entries import EntryDraft, PostingDraft

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A journal entry as the book holds it."""

    id: str
    seq: int
    status: str
    hash: str
    recorded_at: datetime
    book: str
    draft: EntryDraft
    reversed_by: str | None = None
    commitments: Mapping[str, str] = field(default_factory=dict)
    erased: Mapping[str, int] = field(default_factory=dict)
    """The seq of the record that erased a private value, by name; those that are held stand in `draft.private`."""
    not_held: tuple[str, ...] = ()
    withheld: str | None = None
    """Why no private value is shown now, as an error's code: `ledger_behind`, or what kept it from being compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedEntry(Entry):
    """An acknowledged entry; `replayed` when the answer is that of an earlier request with the same key."""

    checkpoint: str
    inclusion: tuple[str, ...]
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """What became of one entry of a batch: `entry`, or `error`."""

    index: int
    entry: Entry | None = None
    checkpoint_size: int | None = None
    inclusion: tuple[str, ...] = ()
    error: CounterfoilError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAnswer:
    """Results in the order of the request; `checkpoints` are signed notes by tree size."""

    posted: int
    refused: int
    checkpoints: Mapping[int, str]
    items: tuple[BatchItem, ...]
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account as the book holds it; `etag` goes into `change_account(if_match=...)`."""

    draft: AccountDraft
    status: str
    opened_seq: int
    changed_seq: int
    etag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountBalance:
    """Gross sides in minor units, and their difference on the normal side."""

    account: str
    currency: str
    normal_balance: str
    debits: int
    credits: int
    balance: int
    as_of_seq: int
    signed_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One posting to an account, with the balance after it."""

    seq: int
    entry_id: str
    external_id: str
    effective_at: datetime
    direction: str
    amount_minor: int
    balance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page; `next_cursor` is None on the last."""

    items: tuple[T, ...]
    next_cursor: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The newest signed checkpoint; only `note` is evidence."""

    origin: str
    size: int
    root: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedRecord:
    """An acknowledged record of another kind than a journal entry."""

    id: str
    seq: int
    kind: str
    hash: str
    recorded_at: datetime
    checkpoint: str
    inclusion: tuple[str, ...]
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """An erasure: `record` is None where all of it was erased before."""

    record: PostedRecord | None
    kept_until: date | None = None
    values: tuple[Mapping[str, Any], ...] = ()
    files: tuple[Mapping[str, Any], ...] = ()


def entry_draft(wire: Mapping[str, Any]) -> EntryDraft:
    """Return the draft that stands in an answer about an entry."""
    return EntryDraft(
        effective_at=moment(wire["effective_at"]),
        external_id=wire["external_id"],
        description=wire["description"],
        postings=tuple(
            PostingDraft(
                account=posting["account"],
                direction=posting["direction"],
                amount_minor=int(posting["amount"]),
                currency=posting["currency"],
            )
            for posting in wire["postings"]
        ),
        metadata=dict(wire["metadata"]),
        reverses=wire.get("reverses"),
        corrects=wire.get("corrects"),
        private=dict(wire.get("private", {})),
    )


def entry(wire: Mapping[str, Any]) -> Entry:
    """Read one entry."""
    return Entry(**_entry_members(wire))


def posted_entry(wire: Mapping[str, Any], *, replayed: bool) -> PostedEntry:
    """Read one acknowledged entry."""
    signature = wire["signature"]
    return PostedEntry(
        **_entry_members(wire),
        checkpoint=signature["checkpoint"],
        inclusion=tuple(signature["inclusion"]),
        replayed=replayed,
    )


def account(wire: Mapping[str, Any], *, etag: str | None = None) -> Account:
    """Read one account."""
    draft = AccountDraft(
        code=wire["code"],
        type=wire["type"],
        currency=wire["currency"],
        normal_balance=wire["normal_balance"],
        overdraft=wire["overdraft"],
        metadata=dict(wire["metadata"]),
    )
    return Account(
        draft=draft,
        status=wire["status"],
        opened_seq=wire["opened_seq"],
        changed_seq=wire["changed_seq"],
        etag=etag,
    )


def balance(wire: Mapping[str, Any]) -> AccountBalance:
    """Read one balance."""
    return AccountBalance(
        account=wire["account"],
        currency=wire["currency"],
        normal_balance=wire["normal_balance"],
        debits=int(wire["debits"]),
        credits=int(wire["credits"]),
        balance=int(wire["balance"]),
        as_of_seq=wire["state"]["as_of_seq"],
        signed_size=wire["state"]["signed_size"],
    )


def statement_line(wire: Mapping[str, Any]) -> StatementLine:
    """Read one line of a statement."""
    return StatementLine(
        seq=wire["seq"],
        entry_id=wire["entry_id"],
        external_id=wire["external_id"],
        effective_at=moment(wire["effective_at"]),
        direction=wire["direction"],
        amount_minor=int(wire["amount"]),
        balance=int(wire["balance"]),
    )


def checkpoint(wire: Mapping[str, Any]) -> Checkpoint:
    """Read the newest checkpoint."""
    return Checkpoint(origin=wire["origin"], size=wire["size"], root=wire["root"], note=wire["checkpoint"])


def posted_record(wire: Mapping[str, Any], *, replayed: bool) -> PostedRecord:
    """Read one acknowledged record."""
    return PostedRecord(
        id=wire["id"],
        seq=wire["seq"],
        kind=wire["kind"],
        hash=wire["hash"],
        recorded_at=moment(wire["recorded_at"]),
        checkpoint=wire["checkpoint"],
        inclusion=tuple(wire["inclusion"]),
        replayed=replayed,
    )


def erased(wire: Mapping[str, Any], *, replayed: bool) -> Erased:
    """Read what an erasure came to."""
    if wire["status"] == "unchanged":
        return Erased(record=None)
    return Erased(
        record=posted_record(wire, replayed=replayed),
        kept_until=date.fromisoformat(wire["kept_until"]),
        values=tuple(wire["values"]),
        files=tuple(wire["files"]),
    )


def moment(text: str) -> datetime:
    """Return a timestamp of an answer."""
    return datetime.fromisoformat(text)


def page_of(items: Sequence[T], wire: Mapping[str, Any]) -> Page[T]:
    """Return one page of `items` with the cursor that stands in `wire`."""
    return Page(items=tuple(items), next_cursor=wire.get("next_cursor"), raw=wire)


def _entry_members(wire: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": wire["id"],
        "seq": wire["seq"],
        "status": wire["status"],
        "hash": wire["hash"],
        "recorded_at": moment(wire["recorded_at"]),
        "book": wire["book"],
        "draft": entry_draft(wire),
        "reversed_by": wire.get("reversed_by"),
        "commitments": wire.get("commitments", {}),
        "erased": wire.get("erased", {}),
        "not_held": tuple(wire.get("not_held", ())),
        "withheld": wire.get("withheld"),
    }
