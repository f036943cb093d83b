"""Stored bytes back into values: the one place that knows how a record's body becomes an entry again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from ledger_core.journal.entries import EntryDraft, PostingDraft, parse_timestamp
from ledger_core.ports import Posted


def posted_from_row(seq: int, leaf_hash: bytes, canonical: bytes) -> Posted:
    """Return the record of a row of `ledger.records`.

    The row is believed; `counterfoil check` is what doubts it.
    """
    data = bytes(canonical)
    record = orjson.loads(data)
    return Posted(
        id=record["id"],
        seq=seq,
        kind=record["kind"],
        recorded_at=parse_timestamp(record["recorded_at"], pointer="/recorded_at"),
        leaf_hash=bytes(leaf_hash),
        canonical=data,
        entry=entry_from_body(record["body"]) if record["kind"] == "journal_entry" else None,
        action=record["body"]["action"] if record["kind"] == "account" else None,
    )


def entry_from_body(body: Mapping[str, Any]) -> EntryDraft:
    """Return the entry that the body of a `journal_entry` record says."""
    return EntryDraft(
        effective_at=parse_timestamp(body["effective_at"], pointer="/body/effective_at"),
        external_id=body["external_id"],
        description=body["description"],
        postings=tuple(
            PostingDraft(
                account=posting["account"],
                direction=posting["direction"],
                amount_minor=int(posting["amount"]),
                currency=posting["currency"],
            )
            for posting in body["postings"]
        ),
        metadata=body["metadata"],
        reverses=body.get("reverses"),
        corrects=body.get("corrects"),
    )
