"""One batch that several callers share: what they send, and the writer that is kept waiting meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from ledger_core.actor import Actor
from ledger_core.book.posting.head import _WRITERS
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.ports import Ask, RecordDraft
from ledger_core.runtime import Runtime

ME = Actor(subject="tester")
BOOK = "main"
CARD = "4111111111111111"


def sale(external_id: str, amount: int = 5, *, back: bool = False, **more: Any) -> EntryDraft:
    sides = ("credit", "debit") if back else ("debit", "credit")
    return EntryDraft(
        effective_at=datetime(2026, 11, 23, tzinfo=UTC),
        external_id=external_id,
        description=more.pop("description", ""),
        postings=tuple(
            PostingDraft(account=code, direction=side, amount_minor=amount, currency="USD")
            for code, side in zip(("assets:cash", "revenue:sales"), sides, strict=True)
        ),
        **more,
    )


def on(code: str, entry: EntryDraft) -> EntryDraft:
    """Return `entry` with its first posting on `code`."""
    return replace(entry, postings=(replace(entry.postings[0], account=code), entry.postings[1]))


@contextmanager
def one_batch(runtime: Runtime) -> Iterator[None]:
    """Keep the writer busy meanwhile: what is submitted becomes one batch."""
    with runtime.engine.begin() as connection:
        connection.execute(
            text("select pg_advisory_xact_lock(hashtextextended(:book, :writers))"), {"book": BOOK, "writers": _WRITERS}
        )
        runtime.ledger().submit([sale("first in line", 1)], Ask(actor=ME))
        waiting = text("select exists (select from pg_locks where locktype = 'advisory' and not granted)")
        deadline = time.monotonic() + 60
        while not connection.execute(waiting).scalar_one():
            assert time.monotonic() < deadline, "no writer wants to write"
            time.sleep(0.02)
        yield


def export(**members: Any) -> RecordDraft:
    body = {
        "closed_on": "2026-11-22", "segment": 1, "first_seq": 0, "next_seq": 3, "manifest_sha256": "0" * 64,
        "uri": "file:///x", **members,
    }  # fmt: skip
    return RecordDraft(kind="export", body=body)


def kinds_of(answer: Any) -> list[str]:
    return [type(item).__name__ for item in answer.items]
