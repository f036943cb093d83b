"""The check of a living book: while it is being posted to, with an unsigned tail, with another book beside it."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text

from api.reversals import reverse
from ledger_core.actor import Actor
from ledger_core.base.engine import make_engine
from ledger_core.errors import ConfigurationError, DependencyError, NotFound
from ledger_core.evidence.check.checker import Code, check_book
from ledger_core.evidence.export.segment import export_segment
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import AccountChange, account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.ports import Ask, RecordDraft
from ledger_core.runtime import Runtime

pytestmark = pytest.mark.integration

BOOK = "main"
ME = Actor(subject="tester")


def entry(number: int) -> EntryDraft:
    return EntryDraft(
        effective_at=datetime(2026, 3, 1, 8, tzinfo=UTC),
        external_id=f"shop:{number}",
        description="Zażółć gęślą jaźń 🧾",
        postings=(
            PostingDraft(account="assets:cash:usd", direction="debit", amount_minor=2**62, currency="USD"),
            PostingDraft(account="revenue:sales:usd", direction="credit", amount_minor=2**62, currency="USD"),
        ),
        metadata={"reference": f"réf-{number}"},
    )


@pytest.fixture
def posted(runtime: Runtime) -> Runtime:
    ledger = runtime.ledger(BOOK)
    apply_accounts(
        ledger,
        [
            account_draft(code="assets:cash:usd", type="asset", currency="USD"),
            account_draft(code="revenue:sales:usd", type="revenue", currency="USD"),
            account_draft(code="assets:never:used", type="asset", currency="USD"),
        ],
        Ask(actor=ME),
    )
    ledger.append([entry(number) for number in range(300)], Ask(actor=ME, key="first"))
    return runtime


def test_a_book_of_every_kind_of_record_is_sound(posted: Runtime) -> None:
    ledger = posted.ledger(BOOK)
    first = ledger.append([entry(300)], Ask(actor=ME)).posted[0]
    reverse(ledger, posted.engine, first.id, actor=ME, now=posted.clock())
    ledger.append([AccountChange(code="assets:never:used", status="frozen")], Ask(actor=ME), atomic=True)
    ledger.append([AccountChange(code="assets:never:used", status="closed")], Ask(actor=ME), atomic=True)
    ledger.append([RecordDraft(kind="security_event", body={"event": "test"})], Ask(actor=ME), atomic=True)
    ledger.append(
        [RecordDraft(kind="reconciliation_run", body={"manifest": {"run_id": "x"}})], Ask(actor=ME), atomic=True
    )
    export_segment(posted, closed_on=date(2026, 3, 1), book=BOOK)
    report = check_book(posted, BOOK)
    assert report.sound, [str(item) for item in report.findings]
    assert report.counts["account_versions"] == 5
    assert report.counts["postings"] == 2 * report.counts["entries"] == 604


def test_a_book_is_checked_while_it_is_posted_to(posted: Runtime) -> None:
    stop = threading.Event()

    def post() -> None:
        for number in range(1_000, 3_000):
            posted.ledger(BOOK).append([entry(number)], Ask(actor=ME, key=f"k{number}"))
            if stop.is_set():
                return

    writer = threading.Thread(target=post)
    writer.start()
    try:
        sizes = set()
        for _ in range(5):
            report = check_book(posted, BOOK)
            assert report.sound, [str(item) for item in report.findings]
            sizes.add(report.size)
    finally:
        stop.set()
        writer.join()
    assert len(sizes) > 1, "the book grew while it was checked"


def test_an_unsigned_tail_is_a_note_and_no_finding(posted: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_asked: object) -> str:
        raise DependencyError("no signature now.")

    with monkeypatch.context() as patch:
        patch.setattr(posted.signer, "sign_checkpoint", refuse)
        posted.ledger(BOOK).append([entry(400)], Ask(actor=ME, wait=False))
        report = check_book(posted, BOOK)
    assert report.sound, [str(item) for item in report.findings]
    assert report.signed_size == report.size - 1
    assert any("wait for their signature" in note for note in report.notes)


def test_another_books_damage_is_not_this_books(posted: Runtime) -> None:
    posted.ledger("other")
    engine = make_engine(posted.database_url, role="login", pool_size=1)
    with engine.begin() as connection:
        connection.execute(text("update ledger.log_head set last_recorded_at = now() where book = 'other'"))
    engine.dispose()
    assert check_book(posted, BOOK).sound
    assert check_book(posted, "other").codes == {Code.HEAD_MISMATCH}


def test_a_book_that_does_not_exist_is_not_found(posted: Runtime) -> None:
    with pytest.raises(NotFound, match="no book nobody"):
        check_book(posted, "nobody")


def test_without_the_pinned_trust_nothing_is_said(posted: Runtime) -> None:
    posted.trust_path.unlink()
    with pytest.raises(ConfigurationError, match="trust"):
        check_book(posted, BOOK)


def test_progress_counts_records(posted: Runtime) -> None:
    seen: list[int] = []
    report = check_book(posted, BOOK, progress=seen.append)
    assert seen[-1] == report.size
