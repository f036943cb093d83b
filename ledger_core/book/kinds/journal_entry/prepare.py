"""An entry made ready for the lock: everything that can be worked out before it is worked out here.

Runs on the caller's thread, without database and lock. Not the judgement: whether the books allow an entry is said
under the lock of the book's head. Invariant: `body` is canonical (profile cf-jcs/1).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, fields
from functools import lru_cache
from hashlib import sha256
from typing import Any, ClassVar

import orjson

from ledger_core.book.posting.rows import entry_suffix, micros_since_2000, posting_suffix
from ledger_core.errors import InvalidAmount, InvalidInput
from ledger_core.journal.cards import has_long_digits, refuse_cards, texts_of
from ledger_core.journal.entries import (
    CREDIT,
    DEBIT,
    MAX_POSTINGS,
    EntryDraft,
    check_balanced,
    check_external_id,
    entry_as_json,
    entry_as_known,
)
from ledger_core.journal.money import MAX_AMOUNT_MINOR
from ledger_core.journal.text import MAX_METADATA_KEY_LENGTH, check_private
from ledger_core.kinds import Kind, check_size
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.commitments import PrivateValue, private_values
from ledger_core.log.shapes import ENTRY_TEXTS, JOURNAL_ENTRY, SHAPES

_SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


@dataclass(slots=True, kw_only=True)
class EntryItem:
    """A journal entry ready for the lock; the suffixes are what of its rows does not depend on its place in the log."""

    draft: EntryDraft
    body: bytes
    fingerprint: str
    entry_suffix: bytes
    posting_suffixes: list[bytes]
    private: tuple[PrivateValue, ...] = field(default=(), repr=False)

    kind: ClassVar[Kind]

    @property
    def may_plan_ahead(self) -> bool:
        """References to other entries are left to the lock: only the database knows those."""
        return self.draft.reverses is None and self.draft.corrects is None


def prepare_entry(draft: EntryDraft, who: bytes, random_bytes: Callable[[int], bytes] = os.urandom) -> EntryItem:
    """Return `draft` ready for the lock; `who` is the canonical form of the actor.

    Raises `InvalidInput` (also for a card number), `NotCanonical` or `UnbalancedEntry` for what no book could allow.
    """
    _check_postings(draft)
    check_balanced(draft)
    check_external_id(draft)
    wire = entry_as_json(draft)
    plain = orjson.dumps(wire, option=_SORTED) if _is_plain(draft) else canonical_bytes(wire)
    # Amounts and instants are in these bytes too; whether a text is a card number is asked of the texts alone.
    if has_long_digits(plain):
        refuse_cards(_texts(draft))
    if draft.private:
        return _prepare_private(draft, wire, who, random_bytes)
    fingerprint = sha256(plain).hexdigest()
    body = _with_actor(plain, who, fingerprint)
    check_size(body)
    return item_of(draft, wire["metadata"], body, fingerprint)


def _prepare_private(
    draft: EntryDraft, wire: dict[str, Any], who: bytes, random_bytes: Callable[[int], bytes]
) -> EntryItem:
    """Return a draft with private values ready: its body commits to each of them and holds none."""
    refuse_cards(texts_of(check_private(draft.private, pointer="/private"), "/private"))
    fingerprint = sha256(canonical_bytes(entry_as_known(draft))).hexdigest()
    private = private_values(draft.private, random_bytes)
    commitments = {item.name: item.commitment for item in private}
    # Not spliced: a value could be called `metadata`, and `fingerprint` would be put inside.
    body = canonical_bytes({**wire, "actor": orjson.loads(who), "commitments": commitments, "fingerprint": fingerprint})
    check_size(body)
    item = item_of(draft, wire["metadata"], body, fingerprint)
    item.private = private
    return item


def item_of(draft: EntryDraft, metadata: dict[str, str], body: bytes, fingerprint: str) -> EntryItem:
    """Return the item with the rows of `draft`: of one that is prepared, and of one that the log holds already."""
    micros = micros_since_2000(draft.effective_at)
    return EntryItem(
        draft=draft,
        body=body,
        fingerprint=fingerprint,
        entry_suffix=entry_suffix(draft, orjson.dumps(metadata), micros),
        posting_suffixes=[posting_suffix(posting, micros) for posting in draft.postings],
    )


def _with_actor(plain: bytes, actor: bytes, fingerprint: str) -> bytes:
    """Return the canonical body: the entry's own canonical form with two members put where their names sort.

    What this takes for granted of the other members is asked by `check_splice` when this module is imported; an entry
    with private values does not come here. The bytes searched for cannot stand inside a string: its quotes are escaped.
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


def _texts(draft: EntryDraft) -> Iterator[tuple[str, str]]:
    yield "/external_id", draft.external_id
    yield "/description", draft.description
    yield from texts_of(draft.metadata, "/metadata")


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


_SHAPE = SHAPES[JOURNAL_ENTRY]
_SPLICED = {member.name for member in fields(EntryDraft)} - {"private"}
check_splice(_SPLICED, (_SHAPE.required | _SHAPE.optional) - {"commitments"}, ENTRY_TEXTS)
