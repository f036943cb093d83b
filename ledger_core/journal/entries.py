"""Journal entries: their shape, the accounting rules that need no database, their wire form, and reversals.

Not the books: whether an account exists, is open or can pay is the sequencer's to say. Invariant: an
`EntryDraft` made by `parse_entry` or `reversal_of` balances in every currency and hashes the same on every
machine.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from ledger_core.errors import InvalidInput, UnbalancedEntry
from ledger_core.journal.accounts import MAX_CODE_LENGTH
from ledger_core.journal.cards import without_cards
from ledger_core.journal.money import decimal_from_minor, is_currency, parse_amount
from ledger_core.journal.strict_json import parse_json as parse_json
from ledger_core.journal.text import check_metadata, check_private, check_text, escape_pointer, shown

MAX_POSTINGS = 500
MAX_EXTERNAL_ID_LENGTH = 255
MAX_DESCRIPTION_LENGTH = 4_000

REVERSAL_SPACE = "reversal:"
"""What the `external_id` of a reversal begins with unless its caller names it: nobody else may choose such a name."""

FIRST_YEAR, LAST_YEAR = 1900, 2199

DEBIT: Final = "debit"
CREDIT: Final = "credit"

# RFC 3339 with a zone; more than six digits of a second would be rounded, so they are refused.
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ENTRY_KEYS = frozenset(
    {"book", "effective_at", "external_id", "description", "postings", "metadata", "reverses", "corrects", "private"}
)
_POSTING_KEYS = frozenset({"account", "direction", "amount", "currency"})
_TIMESTAMP_FORM = "Write it as 2026-01-31T23:59:59.123456Z."
_ENTRY_SHAPE = "Give an object with effective_at, external_id and postings, as POST /finance/journal-entries takes it."
_POSTING_SHAPE = '{"account": "assets:bank:main:usd", "direction": "debit", "amount": "12345", "currency": "USD"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class PostingDraft:
    """One side of an entry: a positive amount in minor units on one account; `direction` gives the side."""

    account: str
    direction: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryDraft:
    """A journal entry before the log took it.

    `effective_at` is UTC; `reverses` and `corrects` are entry ids. `private` never enters the log, which commits to it.
    """

    kind: ClassVar[str] = "journal_entry"

    effective_at: datetime
    external_id: str
    description: str
    postings: tuple[PostingDraft, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    reverses: str | None = None
    corrects: str | None = None
    private: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Personal data by name; empty in what is read back from the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEntry:
    """A journal entry as the log took it; `posted` says whether a signature covers it yet."""

    id: str
    seq: int
    recorded_at: datetime
    leaf_hash: bytes
    posted: bool
    draft: EntryDraft
    reversed_by: str | None = None
    commitments: Mapping[str, str] = field(default_factory=dict)
    """By the names of its private values."""

    @property
    def status(self) -> str:
        return "posted" if self.posted else "pending"


def parse_entry(obj: Any, *, pointer: str = "", book: str | None = None) -> EntryDraft:
    """Return the entry that a parsed JSON object says.

    The member `book` may stand in the object; it must equal `book` where that is given. Raises `InvalidInput`
    or `UnbalancedEntry` with the pointer of the culprit, such as `/postings/0/amount`.
    """
    if not isinstance(obj, Mapping):
        raise InvalidInput("a journal entry must be an object.", pointer=pointer, remedy=_ENTRY_SHAPE)
    _refuse_unknown(obj, _ENTRY_KEYS, pointer)
    for key in ("effective_at", "external_id", "postings"):
        if key not in obj:
            raise InvalidInput(f"a journal entry needs `{key}`.", pointer=f"{pointer}/{key}", remedy=_ENTRY_SHAPE)
    if book is not None and obj.get("book", book) != book:
        raise InvalidInput(
            f"the entry is for book {shown(obj['book'], length=63)}, not {book!r}.",
            pointer=f"{pointer}/book",
            remedy="Post it to its own book.",
        )
    draft = EntryDraft(
        effective_at=parse_timestamp(obj["effective_at"], pointer=f"{pointer}/effective_at"),
        external_id=check_text(
            obj["external_id"],
            pointer=f"{pointer}/external_id",
            what="external_id",
            max_length=MAX_EXTERNAL_ID_LENGTH,
            min_length=1,
        ),
        description=check_text(
            obj.get("description", ""),
            pointer=f"{pointer}/description",
            what="description",
            max_length=MAX_DESCRIPTION_LENGTH,
        ),
        postings=_parse_postings(obj["postings"], f"{pointer}/postings"),
        metadata=check_metadata(obj.get("metadata", {}), pointer=f"{pointer}/metadata"),
        reverses=_entry_id(obj.get("reverses"), f"{pointer}/reverses"),
        corrects=_entry_id(obj.get("corrects"), f"{pointer}/corrects"),
        private=check_private(obj["private"], pointer=f"{pointer}/private") if "private" in obj else {},
    )
    if draft.reverses and draft.corrects:
        raise InvalidInput(
            "an entry reverses or corrects another, not both.",
            pointer=f"{pointer}/corrects",
            remedy="Post the reversal first, then the entry that corrects it.",
        )
    check_balanced(draft, pointer=pointer)
    return draft


def check_balanced(draft: EntryDraft, *, pointer: str = "") -> None:
    """Raise `UnbalancedEntry` unless debits equal credits in every currency of `draft`."""
    if len(draft.postings) == 2:
        # Most entries; half the cost of summing by currency.
        one, other = draft.postings
        same = one.amount_minor == other.amount_minor and one.currency == other.currency
        if same and one.direction != other.direction:
            return
    totals: dict[str, int] = {}
    for posting in draft.postings:
        signed = posting.amount_minor if posting.direction == DEBIT else -posting.amount_minor
        totals[posting.currency] = totals.get(posting.currency, 0) + signed
    for currency, difference in totals.items():
        if difference:
            more = "debits" if difference > 0 else "credits"
            raise UnbalancedEntry(
                f"{more} exceed by {decimal_from_minor(abs(difference), currency)} {currency}.",
                pointer=f"{pointer}/postings",
                remedy="For every currency debits must equal credits.",
            )


def reversal_of(
    entry: RecordedEntry,
    *,
    effective_at: datetime,
    external_id: str | None = None,
    description: str | None = None,
) -> EntryDraft:
    """Return the entry that undoes `entry`: the same postings with sides swapped, linked by `reverses`."""
    swapped = tuple(
        replace(posting, direction=CREDIT if posting.direction == DEBIT else DEBIT) for posting in entry.draft.postings
    )
    return EntryDraft(
        effective_at=effective_at,
        external_id=external_id or f"{REVERSAL_SPACE}{entry.id}",
        description=description if description is not None else without_cards(f"Reversal of {entry.draft.external_id}"),
        postings=swapped,
        # What was taken before card numbers were refused is undone all the same.
        metadata={
            name: without_cards(value) for name, value in entry.draft.metadata.items() if name == without_cards(name)
        },
        reverses=entry.id,
    )


def check_external_id(draft: EntryDraft) -> None:
    """Raise `InvalidInput` for a name in the space of reversals that is not of the entry which `draft` reverses.

    So whoever holds such a name is linked to the entry in it, and a reversal can be blocked by nothing but a reversal.
    """
    if not draft.external_id.startswith(REVERSAL_SPACE):
        return
    if draft.reverses is None or not draft.external_id.startswith(f"{REVERSAL_SPACE}{draft.reverses}"):
        raise InvalidInput(
            f"names that begin with {REVERSAL_SPACE!r} are given to reversals alone.",
            pointer="/external_id",
            remedy="Choose another, or name in `reverses` the entry that is reversed.",
        )


def entry_as_json(draft: EntryDraft) -> dict[str, Any]:
    """Return what the record of `draft` says: as `parse_entry` takes it, timestamps in UTC with six digits.

    Without what is private: that stands in `entry_as_request` alone.
    """
    wire: dict[str, Any] = {
        "description": draft.description,
        "effective_at": format_timestamp(draft.effective_at),
        "external_id": draft.external_id,
        "metadata": dict(draft.metadata),
        "postings": [
            {
                "account": posting.account,
                "amount": str(posting.amount_minor),
                "currency": posting.currency,
                "direction": posting.direction,
            }
            for posting in draft.postings
        ],
    }
    if draft.reverses is not None:
        wire["reverses"] = draft.reverses
    if draft.corrects is not None:
        wire["corrects"] = draft.corrects
    return wire


def entry_as_request(draft: EntryDraft) -> dict[str, Any]:
    """Return the whole wire form of `draft`, what is private included: to be sent, never to be kept."""
    wire = entry_as_json(draft)
    return {**wire, "private": dict(draft.private)} if draft.private else wire


def entry_as_known(draft: EntryDraft) -> dict[str, Any]:
    """Return what fingerprints are taken over, by which `draft` is known again: of what is private the names alone."""
    wire = entry_as_json(draft)
    return {**wire, "private": sorted(draft.private)} if draft.private else wire


def parse_timestamp(value: object, *, pointer: str) -> datetime:
    """Return an RFC 3339 timestamp in UTC.

    Raises `InvalidInput` without a zone, below microseconds, or out of range.
    """
    if not isinstance(value, str) or _TIMESTAMP.fullmatch(value) is None:
        raise InvalidInput(
            f"{shown(value)} is not a timestamp with a zone.",
            pointer=pointer,
            remedy=_TIMESTAMP_FORM,
        )
    try:
        moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            f"{value!r} is not a moment in time: {error}.", pointer=pointer, remedy=_TIMESTAMP_FORM
        ) from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise InvalidInput(
            f"{value!r} is outside the years {FIRST_YEAR} to {LAST_YEAR}.",
            pointer=pointer,
            remedy="Check the year that the sending system wrote.",
        )
    return moment


def format_timestamp(moment: datetime) -> str:
    """Return `moment` (which must carry a zone) in UTC as `2026-01-31T23:59:59.123456Z`."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


def _parse_postings(value: object, pointer: str) -> tuple[PostingDraft, ...]:
    if not isinstance(value, list | tuple):
        raise InvalidInput("postings must be an array.", pointer=pointer, remedy=f"Write [{_POSTING_SHAPE}, ...].")
    if not 2 <= len(value) <= MAX_POSTINGS:
        raise InvalidInput(
            f"an entry has 2 to {MAX_POSTINGS} postings, not {len(value)}.",
            pointer=pointer,
            remedy="Split it into entries that balance." if len(value) > 2 else "Add the other side.",
        )
    return tuple(_parse_posting(item, f"{pointer}/{index}") for index, item in enumerate(value))


def _parse_posting(value: object, pointer: str) -> PostingDraft:
    if not isinstance(value, Mapping):
        raise InvalidInput("a posting must be an object.", pointer=pointer, remedy=f"Write {_POSTING_SHAPE}.")
    if value.keys() != _POSTING_KEYS:
        _refuse_unknown(value, _POSTING_KEYS, pointer)
        missing = sorted(_POSTING_KEYS - value.keys())[0]
        raise InvalidInput(
            f"a posting needs `{missing}`.", pointer=f"{pointer}/{missing}", remedy=f"Write {_POSTING_SHAPE}."
        )
    direction, currency = value["direction"], value["currency"]
    if direction not in (DEBIT, CREDIT):
        raise InvalidInput(
            f"{shown(direction)} is not a direction.",
            pointer=f"{pointer}/direction",
            remedy="Use debit or credit.",
        )
    if not isinstance(currency, str) or not is_currency(currency):
        raise InvalidInput(
            f"{shown(currency)} is not an ISO 4217 currency code.",
            pointer=f"{pointer}/currency",
            remedy="Use the three upper-case letters, such as USD.",
        )
    account = value["account"]
    if not isinstance(account, str) or not account or len(account) > MAX_CODE_LENGTH:
        raise InvalidInput(
            f"an account is a code of 1 to {MAX_CODE_LENGTH} characters.",
            pointer=f"{pointer}/account",
            remedy="Use a code of the chart, such as assets:bank:main:usd.",
        )
    return PostingDraft(
        account=account,
        direction=direction,
        amount_minor=parse_amount(value["amount"], pointer=f"{pointer}/amount"),
        currency=currency,
    )


def _refuse_unknown(value: Mapping[Any, Any], known: frozenset[str], pointer: str) -> None:
    for key in value:
        if key not in known:
            raise InvalidInput(
                f"unknown key {shown(key)}.",
                pointer=f"{pointer}/{escape_pointer(str(key)[:80])}",
                remedy=f"Known here: {', '.join(sorted(known))}.",
            )


def _entry_id(value: object, pointer: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or _UUID.fullmatch(value) is None:
        raise InvalidInput(
            f"{shown(value)} is not an entry id.",
            pointer=pointer,
            remedy="Use the id that posting answered.",
        )
    return str(uuid.UUID(value))
