"""Drafts into requests, on the caller's thread: prepared by their kinds, cut into batches, and given an identity.

Invariant: the cuts depend on the drafts alone, so that a repetition under the same key finds the parts that were done
and posts the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256

from ledger_core.actor import Actor
from ledger_core.book.kinds import Kinds
from ledger_core.book.kinds.faulty import FaultyItem
from ledger_core.book.posting.idempotency import check_key
from ledger_core.book.posting.requests import Request
from ledger_core.errors import InvalidInput, Refused
from ledger_core.journal.accounts import AccountDraft
from ledger_core.journal.entries import EntryDraft
from ledger_core.kinds import Kind, Prepared
from ledger_core.log.canonical import canonical_bytes
from ledger_core.ports import Ask, Draft
from ledger_core.settings import MAX_BATCH_BYTES, MAX_BATCH_RECORDS

MAX_DRAFTS = 10_000
"""Drafts of one call; more belong into several."""


def requests_of(kinds: Kinds, drafts: Sequence[Draft], ask: Ask, *, atomic: bool) -> Iterator[Request]:
    """Yield a request for each part of `drafts`; each is one of its own for idempotency.

    Raises `InvalidInput` for a key, a kind or a group that cannot be taken, before the first part.
    """
    if len(drafts) > MAX_DRAFTS:
        raise InvalidInput(f"{len(drafts):,} entries in one call; {MAX_DRAFTS:,} are the most.")
    key = check_key(ask.key)
    # All of them now: a kind that nobody knows, met in a later part, would be refused with the first part appended.
    known = [kinds.of(draft) for draft in drafts]
    route = ask.route or _route(known, drafts)
    fingerprint = ask.fingerprint
    if key is not None and fingerprint is None:
        fingerprint = _fingerprint(known, drafts)
    return (
        Request(
            items=items,
            route=route if number == 0 else f"{route}#{number}",
            atomic=atomic,
            key=key,
            fingerprint=fingerprint,
            wait=ask.wait,
            bytes=size,
        )
        for number, (items, size) in enumerate(_parts(known, drafts, ask.actor, atomic))
    )


def _fingerprint(known: Sequence[Kind], drafts: Sequence[Draft]) -> bytes:
    """Return SHA-256 over the canonical form of what `drafts` say: the request's identity where none is given."""
    documents = [kind.document(draft) for kind, draft in zip(known, drafts, strict=True)]
    # A list where a list may be asked for: what stands under a key in the database must be known again.
    listed = len(drafts) != 1 or isinstance(drafts[0], EntryDraft | AccountDraft)
    return sha256(canonical_bytes(documents if listed else documents[0])).digest()


def _route(known: Sequence[Kind], drafts: Sequence[Draft]) -> str:
    routes = {kind: kind.route(draft) for kind, draft in zip(known, drafts, strict=True)}
    return next(iter(routes.values())) if len(routes) == 1 else "records"


def _parts(
    known: Sequence[Kind], drafts: Sequence[Draft], actor: Actor, atomic: bool
) -> Iterator[tuple[list[Prepared], int]]:
    """Yield the drafts, prepared, in parts of one batch each, with the bytes of their bodies."""
    who = canonical_bytes(actor.as_body())
    part: list[Prepared] = []
    size = 0
    for kind, draft in zip(known, drafts, strict=True):
        item = _prepared(kind, draft, actor, who)
        if atomic and len(drafts) == 1 and isinstance(item, FaultyItem) and not isinstance(draft, EntryDraft):
            # Nothing could make it pass: said at once, not behind whatever else is queued.
            raise item.error
        weight = _size_of(item)
        if part and (len(part) == MAX_BATCH_RECORDS or size + weight > MAX_BATCH_BYTES):
            if atomic:
                raise InvalidInput(
                    f"an atomic group has at most {MAX_BATCH_RECORDS:,} entries and {MAX_BATCH_BYTES:,} bytes.",
                    remedy="Split it, or post without atomic.",
                )
            yield part, size
            part, size = [], 0
        part.append(item)
        size += weight
    yield part, size


def _size_of(item: Prepared) -> int:
    """Return the bytes that `item` brings: its body's, or what it says of one that only the lock can tell, and others.

    Others are what is private, which stands beside the body.
    """
    size = len(item.body) or getattr(item, "size_bytes", 0)
    private = getattr(item, "private", ())
    return size + sum(len(each.sealed) for each in private) if private else size


def _prepared(kind: Kind, draft: Draft, actor: Actor, who: bytes) -> Prepared:
    try:
        item: Prepared = kind.prepare(draft, actor, who)
    except (InvalidInput, Refused) as error:
        return FaultyItem(error)
    return item
