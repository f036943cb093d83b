"""The proof of one entry reads a few pages, however long the log is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, text

from ledger_core.actor import Actor
from ledger_core.evidence.proofs.prove import entry_proof, verify_selection
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime

pytestmark = pytest.mark.integration

ME = Actor(subject="tester")
SHORT, LONG = 1_500, 24_000


def fill(runtime: Runtime, first: int, following: int) -> None:
    sides = (("assets:cash:usd", "debit"), ("revenue:sales:usd", "credit"))
    drafts = [
        EntryDraft(
            effective_at=datetime(2026, 3, 1, 8, tzinfo=UTC),
            external_id=f"shop:{number}",
            description="a sale",
            postings=tuple(
                PostingDraft(account=code, direction=side, amount_minor=number + 1, currency="USD")
                for code, side in sides
            ),
        )
        for number in range(first, following)
    ]
    for at in range(0, len(drafts), 1_000):
        runtime.ledger("main").append(drafts[at : at + 1_000], Ask(actor=ME))
    with runtime.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("reset role"))
        connection.execute(text("vacuum analyze"))


def reads(runtime: Runtime, act: Any) -> tuple[int, int]:
    """How many queries `act` sends, and how many pages the server looks at for them."""
    queries = pages = 0

    def before(_conn: Any, cursor: Any, statement: str, parameters: Any, _context: Any, _many: Any) -> None:
        nonlocal queries, pages
        queries += 1
        if statement.lstrip().lower().startswith("select"):
            found = cursor.connection.execute(f"explain (analyze, buffers, format json) {statement}", parameters)
            plan = found.fetchone()[0][0]["Plan"]
            pages += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]

    event.listen(runtime.engine, "before_cursor_execute", before)
    try:
        act()
    finally:
        event.remove(runtime.engine, "before_cursor_execute", before)
    return queries, pages


def test_nothing_in_the_path_of_a_proof_grows_with_the_log(runtime: Runtime) -> None:
    chart = [
        account_draft(code="assets:cash:usd", type="asset", currency="USD"),
        account_draft(code="revenue:sales:usd", type="revenue", currency="USD"),
    ]
    apply_accounts(runtime.ledger("main"), chart, Ask(actor=ME))
    asked = (
        lambda: entry_proof(runtime, "main", "shop:700"),
        lambda: verify_selection(runtime, "main", selector={"entry_ids": ["shop:700"]}),
        lambda: verify_selection(runtime, "main", selector={"entry_ids": ["shop:700"]}, known_checkpoint=kept),
    )
    fill(runtime, 0, SHORT)
    kept = runtime.signer.latest(runtime.settings.origin_of("main"))
    short = [reads(runtime, act) for act in asked]
    fill(runtime, SHORT, LONG)
    long = [reads(runtime, act) for act in asked]
    for (few, low), (more, high) in zip(short, long, strict=True):
        # At most a tile more, and the right edge at its longest: 255 records, and the roots of 255 tiles.
        assert more <= few + 2
        assert more <= 12
        assert high <= low + 150, (low, high)
        assert high < 400
