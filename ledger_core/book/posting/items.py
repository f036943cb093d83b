"""Requests as the sequencer queues them: everything that can be worked out before the lock is worked out here.

Runs on the caller's thread, without database and lock. Not the judgement: whether the books allow an item is
`posting.decide`'s to say, under the lock of the book's head. Invariant: `body` is canonical (profile
cf-jcs/1).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, fields
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson

from ledger_core.actor import Actor
from ledger_core.book.posting.rows import entry_suffix, micros_since_2000, posting_suffix
from ledger_core.errors import CounterfoilError, InvalidAmount, InvalidInput, Refused
from ledger_core.journal.accounts import AccountDraft
from ledger_core.journal.entries import (
    CREDIT,
    DEBIT,
    MAX_CANONICAL_BYTES,
    MAX_POSTINGS,
    EntryDraft,
    check_balanced,
    entry_as_json,
)
from ledger_core.journal.money import MAX_AMOUNT_MINOR
from ledger_core.journal.text import MAX_METADATA_KEY_LENGTH
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.shapes import ENTRY_TEXTS, JOURNAL_ENTRY, SHAPES, check_members
from ledger_core.ports import Answer, Posted

ENVELOPE_BYTES = 320
"""More than what a record has around its body: names, id, `prev`, time, and a book of 63 characters."""

MAX_BODY_BYTES = MAX_CANONICAL_BYTES - ENVELOPE_BYTES

APPENDABLE_KINDS = frozenset(
    {
        "signing_key", "reconciliation_run", "export", "security_event",
    }
)  # fmt: skip
"""What `append_record` takes: every kind whose shape the verifier knows, but for books, accounts and journal entries,
which have rules and methods of their own."""

_SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


@dataclass(slots=True, kw_only=True)
class EntryItem:
    """A journal entry ready for the lock; the suffixes are what of its rows does not depend on its place in the log."""

    draft: EntryDraft
    body: bytes
    fingerprint: str
    entry_suffix: bytes
    posting_suffixes: list[bytes]

    kind = "journal_entry"


@dataclass(slots=True, kw_only=True)
class AccountItem:
    """An account as it should become. `draft` makes or changes it; `change` alters one that must exist."""

    code: str
    actor: Actor
    draft: AccountDraft | None = None
    change: Mapping[str, Any] = field(default_factory=dict)
    expected_seq: int | None = None
    only_open: bool = False
    """Open the account, or find it just so; never change one that stands otherwise."""

    kind = "account"


@dataclass(slots=True, kw_only=True)
class RecordItem:
    """A record of any other kind."""

    kind: str
    body: bytes
    members: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class FaultyItem:
    """An item that its own shape rules out; it keeps its place so that answers come in order."""

    error: CounterfoilError
    kind = "faulty"


QueuedItem = EntryItem | AccountItem | RecordItem | FaultyItem


@dataclass(slots=True, kw_only=True, eq=False)
class Request:
    """One caller's items, in order; the unit of idempotency and of atomic groups.

    `durable` is set once transaction 1 committed; `future` yields the answer once the signature is stored.
    """

    items: Sequence[QueuedItem]
    route: str
    atomic: bool = False
    key: str | None = None
    fingerprint: bytes | None = None
    wait: bool = True
    future: Future[Answer] = field(default_factory=Future)
    queued_at: float = field(default_factory=time.monotonic)
    bytes: int = 0
    durable: bool = False
    posted: list[Posted] = field(default_factory=list)

    @property
    def weight(self) -> int:
        """Records that this request may append, at least one."""
        return max(1, len(self.items))


def prepare_entry(draft: EntryDraft, actor: bytes) -> EntryItem | FaultyItem:
    """Return `draft` ready for the lock, or the fault that no book could allow.

    `actor` is the canonical form of the member `actor`: the same for all entries of a request.
    """
    try:
        return _prepare_entry(draft, actor)
    except (InvalidInput, Refused) as error:
        return FaultyItem(error=error)


def prepare_record(kind: str, members: Mapping[str, Any], actor: Actor) -> RecordItem:
    """Return a record of `kind` ready for the lock. Raises `InvalidInput`, `NotCanonical`."""
    if kind not in APPENDABLE_KINDS:
        raise InvalidInput(
            f"records of kind {kind!r:.40} are not appended as such.",
            pointer="/kind",
            remedy=f"Known here: {', '.join(sorted(APPENDABLE_KINDS))}.",
        )
    whole = {**members, "actor": actor.as_body()}
    # What is appended stays for ever: a body that no verifier accepts would make the book unexportable.
    check_members(kind, whole)
    body = canonical_bytes(whole)
    _check_size(body)
    return RecordItem(kind=kind, body=body, members=whole)


def _prepare_entry(draft: EntryDraft, actor: bytes) -> EntryItem:
    _check_postings(draft)
    check_balanced(draft)
    wire = entry_as_json(draft)
    plain = orjson.dumps(wire, option=_SORTED) if _is_plain(draft) else canonical_bytes(wire)
    fingerprint = sha256(plain).hexdigest()
    body = _with_actor(plain, actor, fingerprint)
    _check_size(body)
    micros = micros_since_2000(draft.effective_at)
    return EntryItem(
        draft=draft,
        body=body,
        fingerprint=fingerprint,
        entry_suffix=entry_suffix(draft, orjson.dumps(wire["metadata"]), micros),
        posting_suffixes=[posting_suffix(posting, micros) for posting in draft.postings],
    )


def _with_actor(plain: bytes, actor: bytes, fingerprint: str) -> bytes:
    """Return the canonical body: the entry's own canonical form with two members put where their names sort.

    What this takes for granted of the other members is asked by `check_splice` when this module is imported. The bytes
    searched for cannot stand inside a string, where quotes are escaped.
    """
    at = plain.index(b',"metadata":')
    mark = b',"fingerprint":"' + fingerprint.encode() + b'"'
    return b"".join((b'{"actor":', actor, b",", plain[1:at], mark, plain[at:]))


def check_splice(drafted: Collection[str], members: Collection[str], texts: Collection[str]) -> None:
    """Refuse a list of an entry's members for which `_with_actor` would not yield the canonical form.

    `drafted` are the members that a draft writes, `members` all that the body of a record may hold, `texts` those that
    are text. Raises `AssertionError`: a body spliced wrongly would be appended, and stand, for ever.
    """
    unknown = sorted(set(drafted) - set(members))
    if unknown:
        raise AssertionError(f"an entry's {', '.join(unknown)} would be appended, and no verifier knows such a member.")
    others = sorted({*drafted, *members} - {"actor", "fingerprint"})
    if "metadata" not in others or others[0] == "metadata":
        raise AssertionError(
            "`fingerprint` is spliced before an entry's `metadata`: it has to be there, and not first."
        )
    if others[0] < "actor":
        raise AssertionError(f"`actor` is spliced first into an entry, and {others[0]} sorts before it.")
    before = [name for name in others if name < "metadata"]
    if before[-1] > "fingerprint":
        raise AssertionError(
            f"`fingerprint` is spliced right before an entry's `metadata`, and {before[-1]} sorts between them."
        )
    nested = [name for name in before if name not in texts]
    if nested:
        raise AssertionError(
            f"an entry's {', '.join(nested)} is not text and sorts before `metadata`: "
            "the place of `fingerprint` could be found inside it."
        )


def _is_plain(draft: EntryDraft) -> bool:
    """Say whether `draft` is certainly in the canonical profile: ASCII text without U+0000, no metadata to check.

    True for nearly every entry, and a tenth of the cost of the full guard, which decides the rest.
    """
    text = draft.external_id + draft.description
    if draft.metadata:
        text += "".join(draft.metadata.values())
        if not all(map(_is_plain_key, draft.metadata)):
            return False
    return text.isascii() and "\0" not in text


@lru_cache(maxsize=1_000)
def _is_plain_key(key: str) -> bool:
    return key.isidentifier() and key.islower() and key.isascii() and len(key) <= MAX_METADATA_KEY_LENGTH


def _check_postings(draft: EntryDraft) -> None:
    """Hold drafts that code made, past `parse_entry`, to the same rules."""
    if not 2 <= len(draft.postings) <= MAX_POSTINGS:
        raise InvalidInput(f"an entry has 2 to {MAX_POSTINGS} postings.", pointer="/postings")
    for index, posting in enumerate(draft.postings):
        if posting.direction != DEBIT and posting.direction != CREDIT:
            raise InvalidInput("the direction is debit or credit.", pointer=f"/postings/{index}/direction")
        if not 0 < posting.amount_minor <= MAX_AMOUNT_MINOR:
            raise InvalidAmount(
                f"an amount is 1 to {MAX_AMOUNT_MINOR} minor units.", pointer=f"/postings/{index}/amount"
            )


def _check_size(body: bytes) -> None:
    if len(body) > MAX_BODY_BYTES:
        raise InvalidInput(
            f"the record has {len(body):,} bytes; {MAX_BODY_BYTES:,} are the most.",
            remedy="Split the entry, or put bulky evidence elsewhere and record its digest.",
        )


_SHAPE = SHAPES[JOURNAL_ENTRY]
check_splice([member.name for member in fields(EntryDraft)], _SHAPE.required | _SHAPE.optional, ENTRY_TEXTS)
