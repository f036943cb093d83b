"""An export record that an earlier release let in, of a segment that nobody wrote: named, and there is a way on."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ledger_core.actor import Actor
from ledger_core.book.kinds.export import Export
from ledger_core.errors import IntegrityError
from ledger_core.evidence.check.checker import Code, check_book
from ledger_core.evidence.export.segment import export_segment
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.kinds import Kind
from ledger_core.log.keys import TrustFile
from ledger_core.log.verifier import verify_path
from ledger_core.ports import Ask, Posted, RecordDraft
from ledger_core.runtime import Runtime

pytestmark = pytest.mark.integration

ME = Actor(subject="tester")
RUNBOOK = Path(__file__).parents[2] / "docs" / "runbooks" / "failed-check.md"
BOGUS = {
    "the next segment": {"segment": 1, "first_seq": 0, "next_seq": 3, "closed_on": "2026-11-22"},
    "one far beyond all records": {"segment": 7, "first_seq": 10**6, "next_seq": 10**15, "closed_on": "2026-11-20"},
    "one of a day to come": {"segment": 1, "first_seq": 0, "next_seq": 2, "closed_on": "2031-01-01"},
}


@pytest.fixture
def house(runtime: Runtime) -> Runtime:
    chart = [
        account_draft(code="assets:cash", type="asset", currency="USD"),
        account_draft(code="revenue:sales", type="revenue", currency="USD"),
    ]
    apply_accounts(runtime.ledger(), chart, Ask(actor=ME))
    sell(runtime, "e:1")
    return runtime


def sell(house: Runtime, external_id: str) -> None:
    sides = (("assets:cash", "debit"), ("revenue:sales", "credit"))
    entry = EntryDraft(
        effective_at=datetime(2026, 11, 22, tzinfo=UTC),
        external_id=external_id,
        description="",
        postings=tuple(
            PostingDraft(account=code, direction=side, amount_minor=5, currency="USD") for code, side in sides
        ),
    )
    house.ledger().append([entry], Ask(actor=ME))


def recorded(house: Runtime, monkeypatch: pytest.MonkeyPatch, body: dict[str, Any]) -> int:
    """Append the record as an earlier release did, which judged nothing; return its seq."""
    with monkeypatch.context() as earlier:
        earlier.setattr(Export, "read_facts", Kind.read_facts)
        earlier.setattr(Export, "judge", Kind.judge)
        draft = RecordDraft(kind="export", body={"manifest_sha256": "0" * 64, "uri": "file:///x", **body})
        posted = house.ledger().append([draft], Ask(actor=ME), atomic=True).only
    assert isinstance(posted, Posted)
    return posted.seq


def call_void(house: Runtime, seq: int) -> None:
    """Append what the runbook says."""
    (given,) = re.findall(r"'(\{\"book\".*\})'", RUNBOOK.read_text())
    sent = json.loads(given.replace("SEQ", str(seq)))
    house.ledger(sent["book"]).append([RecordDraft(kind=sent["kind"], body=sent["body"])], Ask(actor=ME), atomic=True)


def take_the_row_away(house: Runtime, seq: int) -> None:
    """Run the runbook's SQL."""
    (given,) = re.findall(r"```sql\n(.*?)```", RUNBOOK.read_text(), re.DOTALL)
    with psycopg.connect(house.database_url.replace("+psycopg", ""), autocommit=True) as superuser:
        superuser.execute(given.replace("SEQ", str(seq)))


def codes(house: Runtime) -> set[Code]:
    return {finding.code for finding in check_book(house, "main").findings}


@pytest.mark.parametrize("what", BOGUS)
@pytest.mark.parametrize("after_a_real_one", [False, True])
def test_a_record_of_a_segment_that_nobody_wrote_is_named_and_the_runbook_leads_on(
    house: Runtime, monkeypatch: pytest.MonkeyPatch, what: str, after_a_real_one: bool
) -> None:
    body = BOGUS[what]
    if after_a_real_one:
        first = export_segment(house, closed_on=date(2026, 11, 21), book="main")
        sell(house, "e:2")
        body = {**body, "segment": body["segment"] + 1, "first_seq": first.next_seq, "next_seq": first.next_seq + 1}
    seq = recorded(house, monkeypatch, body)
    with pytest.raises(IntegrityError, match=rf"not in the archive; its record stands at seq {seq}\.") as refused:
        export_segment(house, closed_on=date(2026, 11, 23), book="main")
    assert (refused.value.context["finding"], refused.value.context["record_seq"]) == ("archive_missing", seq)
    assert "docs/runbooks/failed-check.md, 9" in str(refused.value.remedy)
    assert codes(house) == {Code.ARCHIVE_MISSING}
    call_void(house, seq)
    assert codes(house) == {Code.EXPORTS_MISMATCH}, "the event alone hides nothing"
    take_the_row_away(house, seq)
    made = [export_segment(house, closed_on=date(2026, 11, day), book="main") for day in (22, 23)]
    assert [item.created for item in made] == [True, True]
    assert [item.segment for item in made] == ([2, 3] if after_a_real_one else [1, 2])
    report = check_book(house, "main")
    assert report.findings == ()
    assert any(f"the export record at seq {seq} is void" in note for note in report.notes)
    found = verify_path(Path(house.archive.uri.removeprefix("file://")), TrustFile.load(house.trust_path))
    assert found.verdict == "verified"


def test_a_row_that_was_taken_away_without_a_word_in_the_log_is_a_finding(
    house: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    seq = recorded(house, monkeypatch, BOGUS["the next segment"])
    take_the_row_away(house, seq)
    assert codes(house) == {Code.EXPORTS_MISMATCH, Code.ARCHIVE_MISSING}


def test_an_event_calls_void_only_the_export_before_it(house: Runtime) -> None:
    head = check_book(house, "main").size
    call_void(house, head + 1)  # said before the export that will stand there
    made = export_segment(house, closed_on=date(2026, 11, 22), book="main")
    assert made.next_seq == head + 1
    for event in (
        {"event": "export_void", "seq": str(head + 1)},
        {"event": "other", "seq": head + 1},
        {"seq": head + 1},
    ):
        draft = RecordDraft(kind="security_event", body=event)
        house.ledger().append([draft], Ask(actor=ME), atomic=True)
    report = check_book(house, "main")
    assert report.findings == ()
    assert not any("void" in note for note in report.notes)
