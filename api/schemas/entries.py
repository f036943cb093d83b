"""Journal entries, reversals and batches on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from api.schemas.common import (
    AccountCode,
    Amount,
    Base64,
    Currency,
    Direction,
    Hash,
    JsonObject,
    Metadata,
    Private,
    SignedNote,
    State,
    Timestamp,
    Wire,
)

MAX_BATCH_ENTRIES = 10_000
MAX_ATOMIC_ENTRIES = 1_000

ENTRY_EXAMPLE: JsonObject = {
    "book": "main",
    "effective_at": "2026-11-22T08:00:00Z",
    "external_id": "stripe:txn_1",
    "description": "charge ch_1",
    "postings": [
        {"account": "assets:psp:stripe:clearing:usd", "direction": "debit", "amount": "9680", "currency": "USD"},
        {"account": "expenses:processing-fees:usd", "direction": "debit", "amount": "320", "currency": "USD"},
        {"account": "revenue:sales:usd", "direction": "credit", "amount": "10000", "currency": "USD"},
    ],
    "metadata": {"reference": "txn_1", "order": "o-17"},
    "private": {"payer_name": "Ada Example"},
}
_BATCH_EXAMPLE: JsonObject = {
    "entries": [{**ENTRY_EXAMPLE, "external_id": f"stripe:txn_{number}"} for number in (2, 3)]
}


class Posting(Wire):
    """One side of an entry."""

    account: AccountCode
    direction: Direction
    amount: Amount
    currency: Currency


class JournalEntryDraft(Wire):
    """What to post. For every currency debits equal credits."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [ENTRY_EXAMPLE]})

    book: str | None = Field(default=None, description="Default: the installation's.")
    effective_at: Timestamp
    external_id: str = Field(description="The caller's own name for it; unique in the book for ever.")
    description: str
    postings: list[Posting] = Field(min_length=2, max_length=500)
    metadata: Metadata = Field(default_factory=dict)
    reverses: str | None = Field(default=None, description="Id of the entry that this one undoes.")
    corrects: str | None = Field(default=None, description="Id of the entry that this one adjusts.")
    private: Private = Field(default_factory=dict)


class Signature(Wire):
    """Proof that the entry stands in the signed log."""

    checkpoint: SignedNote
    inclusion: list[Base64] = Field(description="RFC 6962 inclusion path at the checkpoint's size.")


class JournalEntry(Wire):
    """An entry as the book holds it."""

    id: str = Field(json_schema_extra={"format": "uuid"})
    seq: int = Field(description="Position in the log.")
    status: Literal["pending", "posted"] = Field(description="`posted` as soon as a signature covers it.")
    hash: Hash
    recorded_at: Timestamp
    book: str
    effective_at: Timestamp
    external_id: str
    description: str
    postings: list[Posting]
    metadata: Metadata
    reverses: str | None = None
    corrects: str | None = None
    reversed_by: str | None = Field(default=None, description="Id of the entry that undid this one.")
    commitments: dict[str, Hash] | None = Field(
        default=None, description="What the record says of each private value, by name: SHA-256(salt || value)."
    )
    private: dict[str, str] | None = Field(
        default=None, description="The private values that are held; with the scope `private:read` alone."
    )
    erased: dict[str, int] | None = Field(
        default=None, description="The seq of the record that erased a private value, by its name."
    )
    not_held: list[str] | None = Field(
        default=None,
        description="Private values that are neither held nor erased; with the scope `private:read` alone.",
    )
    withheld: str | None = Field(
        default=None,
        description="Why no private value is shown now: `ledger_behind` while the database is older than what was "
        "signed, or the code of what kept it from being compared; with the scope `private:read` alone.",
    )


class PostedEntry(JournalEntry):
    """An acknowledged entry, with its signature."""

    signature: Signature


class DryRun(Wire):
    """The entry would be posted; nothing was written."""

    dry_run: Literal[True]
    would_post: Literal[True]
    entry: JsonObject


class EntryPage(Wire):
    """One page of entries in the order of the log."""

    entries: list[JournalEntry]
    next_cursor: str | None = None
    state: State


class BatchDraft(Wire):
    """Up to 10,000 entries; with `?atomic=true` up to 1,000, all or none."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [_BATCH_EXAMPLE]})

    book: str | None = None
    entries: Annotated[list[JournalEntryDraft], Field(min_length=1, max_length=MAX_BATCH_ENTRIES)]


class BatchResult(Wire):
    """What became of one entry: 201 and `entry`, or a problem."""

    index: int
    status: int
    entry: JournalEntry | None = None
    checkpoint_size: int | None = Field(default=None, description="Which of `checkpoints` covers it.")
    inclusion: list[Base64] | None = Field(default=None, description="Path to that checkpoint's root.")
    problem: JsonObject | None = None


class BatchAnswer(Wire):
    """Results in the order of the request."""

    posted: int
    refused: int
    checkpoints: dict[str, SignedNote] = Field(description="By size: one for each 1,000 entries, or fewer.")
    results: list[BatchResult]


class ReversalDraft(Wire):
    """All members may be left out."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"description": "charge ch_1 taken back"}]}
    )

    book: str | None = None
    effective_at: Timestamp | None = Field(
        default=None, description="Default: that of the reversed entry's reversal time, now."
    )
    external_id: str | None = Field(default=None, description="Default: derived from the reversed entry.")
    description: str | None = None
