"""A book with a past, somebody who writes to its database as its superuser, and an auditor elsewhere."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ledger_core.actor import Actor
from ledger_core.base.engine import make_engine
from ledger_core.evidence.proofs.prove import Verification, verify_selection
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.log.note import NoteSignature, SignedNote, checkpoint_text, parse_checkpoint, parse_note
from ledger_core.log.verifier import verify_path
from ledger_core.ports import Answer, Ask
from ledger_core.runtime import Runtime
from ledger_core.signing.backends.software import load

BOOK = "main"
ME = Actor(subject="tester")
START = datetime(2026, 3, 1, 8, tzinfo=UTC)
FIRST = 3
"""The seq of the first entry: after the book and its two accounts."""
COUNT = 600


def entry(number: int) -> EntryDraft:
    """Return a sale; one an hour of business time."""
    sides = (("assets:cash:usd", "debit"), ("revenue:sales:usd", "credit"))
    return EntryDraft(
        effective_at=START + timedelta(hours=number),
        external_id=f"shop:{number}",
        description="a sale",
        postings=tuple(
            PostingDraft(account=code, direction=side, amount_minor=number + 1, currency="USD") for code, side in sides
        ),
    )


@dataclass(slots=True)
class Asked:
    """The book, and the questions that are put to it."""

    runtime: Runtime
    folder: Path

    def post(self, *numbers: int) -> Answer:
        return self.runtime.ledger(BOOK).append([entry(number) for number in numbers], Ask(actor=ME))

    def attack(self, statement: str, **given: Any) -> None:
        """Change the database as whoever owns it could, past every guard."""
        engine = make_engine(self.runtime.database_url, role="login", pool_size=1)
        with engine.begin() as connection:
            connection.execute(text("set session_replication_role = replica"))
            assert connection.execute(text(statement), given).rowcount
        engine.dispose()

    def rows(self, query: str, **given: Any) -> list[Any]:
        with self.runtime.engine.connect() as connection:
            return list(connection.execute(text(query), given))

    def select(self, selector: dict[str, Any], **rest: Any) -> Verification:
        return verify_selection(self.runtime, BOOK, selector=selector, **rest)

    def offline(self, found: Verification) -> tuple[str, int]:
        """What the offline verifier says of a signed answer."""
        path = self.folder / "answer.json"
        path.write_text(json.dumps(found.envelope))
        report = verify_path(path, self.runtime.trust_path)
        return report.verdict, report.exit_status

    def note(self, size: int | None = None, root: bytes | None = None) -> str:
        """Return what this log's own key says of a tree: ours now, or one that a liar shows to somebody."""
        origin = self.runtime.settings.origin_of(BOOK)
        newest = self.runtime.signer.latest(origin)
        assert newest is not None
        ours = parse_checkpoint(parse_note(newest).text)
        said = checkpoint_text(origin, size or ours.size, root or ours.root)
        key = load(self.runtime.home / "signer" / "key.pem")
        return str(
            SignedNote(said, (NoteSignature(origin, key.public_key.note_hash(origin), key.sign(said.encode())),))
        )


@pytest.fixture
def asked(runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Two accounts, then 600 entries: two full tiles and a tail. The minute does not end meanwhile."""
    ledger = runtime.ledger(BOOK)
    chart = [
        account_draft(code="assets:cash:usd", type="asset", currency="USD"),
        account_draft(code="revenue:sales:usd", type="revenue", currency="USD"),
    ]
    apply_accounts(ledger, chart, Ask(actor=ME))
    ledger.append([entry(number) for number in range(COUNT)], Ask(actor=ME))
    now = runtime.clock()
    monkeypatch.setattr(runtime, "clock", lambda: now)
    return Asked(runtime, tmp_path)
