"""What the benchmarks of the log share: a book of charges over fifty accounts, and the bound of reading its segment."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from ledger_core.actor import Actor
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime

ACTOR = Actor(subject="bench")
BOOK = "main"
BATCH = 10_000
CHUNK = 1024 * 1024
CODES = [f"assets:clearing:{number}" for number in range(50)]


def post(runtime: Runtime, records: int) -> None:
    """Post `records` charges, in batches."""
    ledger = runtime.ledger(BOOK)
    chart = [account_draft(code=code, type="asset", currency="USD") for code in [*CODES, "revenue:sales"]]
    apply_accounts(ledger, chart, Ask(actor=ACTOR))
    for start in range(0, records, BATCH):
        count = min(BATCH, records - start)
        ledger.append([charge(number) for number in range(start, start + count)], Ask(actor=ACTOR))


def charge(number: int, *, prefix: str = "bench") -> EntryDraft:
    """Return a charge with two postings."""
    sides = ((CODES[number % len(CODES)], "debit"), ("revenue:sales", "credit"))
    return EntryDraft(
        effective_at=datetime(2026, 1, 1 + number % 28, 8, tzinfo=UTC),
        external_id=f"{prefix}:{number}",
        description=f"charge ch_{number:08d}",
        postings=tuple(
            PostingDraft(account=code, direction=side, amount_minor=1 + number, currency="USD") for code, side in sides
        ),
        metadata={"reference": f"txn_{number:08d}"},
    )


def gunzip_and_hash(path: Path) -> str:
    """Do what nobody can do without who hashes the records: the bound."""
    unpacker, digest = zlib.decompressobj(zlib.MAX_WBITS | 16), sha256()
    with path.open("rb") as source:
        while chunk := source.read(CHUNK):
            digest.update(unpacker.decompress(chunk))
    return digest.hexdigest()
