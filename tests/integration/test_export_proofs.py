"""Proofs and `verify_selection`: good answers verify offline, bad ones are evidence and leave a record."""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from ledger_core.actor import Actor
from ledger_core.base.engine import make_engine
from ledger_core.errors import IntegrityError, InvalidInput, NotFound
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.export.segment import export_segment
from ledger_core.evidence.proofs.prove import Verification, entry_proof, verify_selection
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.log.findings import VerificationReport
from ledger_core.log.verifier import verify_path
from ledger_core.ports import Answer, Ask, RecordDraft
from ledger_core.runtime import Runtime

pytestmark = pytest.mark.integration

BOOK = "main"
ME = Actor(subject="tester")


def entry(number: int) -> EntryDraft:
    return EntryDraft(
        effective_at=datetime(2026, 3, 1, 8, tzinfo=UTC),
        external_id=f"shop:{number}",
        description="a sale",
        postings=(
            PostingDraft(account="assets:cash:usd", direction="debit", amount_minor=number + 1, currency="USD"),
            PostingDraft(account="revenue:sales:usd", direction="credit", amount_minor=number + 1, currency="USD"),
        ),
    )


@pytest.fixture
def posted(runtime: Runtime) -> Runtime:
    """Two accounts, then 600 entries at seqs 3 to 602: two full tiles and a tail."""
    ledger = runtime.ledger(BOOK)
    apply_accounts(
        ledger,
        [
            account_draft(code="assets:cash:usd", type="asset", currency="USD"),
            account_draft(code="revenue:sales:usd", type="revenue", currency="USD"),
        ],
        Ask(actor=ME),
    )
    ledger.append([entry(number) for number in range(600)], Ask(actor=ME))
    return runtime


def post(runtime: Runtime, *numbers: int) -> Answer:
    return runtime.ledger(BOOK).append([entry(number) for number in numbers], Ask(actor=ME))


def attack(runtime: Runtime, statement: str, **given: Any) -> None:
    engine = make_engine(runtime.database_url, role="login", pool_size=1)
    with engine.begin() as connection:
        connection.execute(text("set session_replication_role = replica"))
        assert connection.execute(text(statement), given).rowcount
    engine.dispose()


def offline(runtime: Runtime, tmp_path: Path, name: str, content: str) -> VerificationReport:
    (tmp_path / name).write_text(content)
    return verify_path(tmp_path / name, runtime.trust_path)


def select(runtime: Runtime, selector: dict[str, Any], **rest: Any) -> Verification:
    return verify_selection(runtime, BOOK, selector=selector, **rest)


def again(runtime: Runtime, tmp_path: Path, found: Verification) -> tuple[str, int]:
    """What the offline verifier says of a signed answer."""
    report = offline(runtime, tmp_path, "answer.json", json.dumps(found.envelope))
    return report.verdict, report.exit_status


def verdicts(found: Verification) -> set[str]:
    return {failure["verdict"] for failure in found.failures}


def test_an_entrys_proof_verifies_offline_in_both_forms(posted: Runtime, tmp_path: Path) -> None:
    for external_id in ("shop:0", "shop:254", "shop:599"):
        proof = entry_proof(posted, BOOK, external_id)
        assert offline(posted, tmp_path, "proof.json", proof.bundle_text).verdict == "verified"
        assert offline(posted, tmp_path, "proof.tlog", proof.tlog_proof).verdict == "verified"
    assert proof.seq == 602


def test_an_entry_is_found_by_its_id_in_any_case(posted: Runtime) -> None:
    (item,) = post(posted, 700).posted
    assert entry_proof(posted, BOOK, item.id.upper()).seq == item.seq
    with pytest.raises(NotFound, match="there is no entry"):
        entry_proof(posted, BOOK, "shop:9999")


def test_a_proof_of_an_edited_entry_is_refused(posted: Runtime) -> None:
    attack(
        posted,
        "update ledger.records set canonical = set_byte(canonical, 60, get_byte(canonical, 60) # 1) where seq = 50",
    )
    with pytest.raises(IntegrityError, match="cannot be proved") as caught:
        entry_proof(posted, BOOK, "shop:47")
    assert caught.value.context["seq"] == 50


@pytest.mark.parametrize(
    "selector", [{"entry_ids": ["shop:1", "shop:599"]}, {"seq_range": (0, 10)}, {"seq_range": (0, 603)}]
)
def test_a_selection_is_verified_and_its_envelope_verifies_offline(
    posted: Runtime, tmp_path: Path, selector: dict[str, Any]
) -> None:
    kept = post(posted, 700).checkpoint
    post(posted, 701)
    found = select(posted, selector, known_checkpoint=kept, deep=True)
    assert (found.verdict, found.failures) == ("verified", [])
    assert {row["crosscheck"] for row in found.payload["rows"]} <= {"match", "none"}
    assert len(found.payload["consistency"]) == 1
    assert offline(posted, tmp_path, "bundle.json", json.dumps(found.envelope)).verdict == "verified"
    assert json.loads(base64.b64decode(found.envelope["payload"])) == found.payload


def test_a_segment_is_verified_against_its_archive_and_the_database(posted: Runtime) -> None:
    export_segment(posted, closed_on=date(2026, 3, 1), book=BOOK)
    found = select(posted, {"segment": 1})
    assert found.verdict == "verified"
    assert (found.payload["segment"]["first_seq"], found.payload["segment"]["next_seq"]) == (0, 603)
    with pytest.raises(NotFound, match="no segment 2"):
        select(posted, {"segment": 2})


def test_an_answer_that_carries_no_record_proves_nothing_offline(posted: Runtime, tmp_path: Path) -> None:
    export_segment(posted, closed_on=date(2026, 3, 1), book=BOOK)
    assert again(posted, tmp_path, select(posted, {"segment": 1})) == ("unverifiable", 2)
    found = select(posted, {"entry_ids": []})
    assert found.verdict == "unverifiable"
    assert again(posted, tmp_path, found) == ("unverifiable", 2)


def test_a_failed_answer_reads_as_failed_offline(posted: Runtime, tmp_path: Path) -> None:
    attack(posted, "delete from ledger.postings where seq = 50")
    found = select(posted, {"entry_ids": ["shop:47"]}, deep=True)
    assert found.verdict == "failed"
    assert again(posted, tmp_path, found) == ("edited", 1)


def test_without_bytes_the_bundle_says_so_by_leaving_them_out(posted: Runtime) -> None:
    found = select(posted, {"seq_range": (5, 6)}, include_bytes=False)
    assert found.verdict == "verified"
    assert "canonical" not in found.payload["records"][0]


def test_an_edited_record_fails_with_evidence_and_one_security_event(posted: Runtime) -> None:
    attack(
        posted,
        "update ledger.records set canonical = set_byte(canonical, 60, get_byte(canonical, 60) # 1) where seq = 50",
    )
    found = select(posted, {"seq_range": (49, 52)})
    assert (found.verdict, verdicts(found)) == ("failed", {"edited"})
    assert [failure["seq"] for failure in found.failures] == [50]
    event = found.payload["security_event"]
    assert event["recorded"]
    assert select(posted, {"seq_range": (49, 52)}).payload["security_event"] == event, "asked twice, recorded once"
    with posted.engine.connect() as connection:
        query = text("select canonical from ledger.records where seq = :seq")
        body = orjson.loads(bytes(connection.execute(query, {"seq": event["seq"]}).scalar_one()))["body"]
    assert body["event"] == "verification_failed"
    assert [failure["seq"] for failure in body["failures"]] == [50]


def test_a_deleted_record_is_missing_and_an_intact_neighbour_is_proved(posted: Runtime) -> None:
    attack(posted, "delete from ledger.records where seq = 50")
    found = select(posted, {"seq_range": (50, 51)})
    assert (found.verdict, verdicts(found)) == ("failed", {"missing"})
    assert select(posted, {"seq_range": (51, 52)}).verdict == "verified"


def test_missing_tiles_are_evidence_and_no_traceback(posted: Runtime) -> None:
    attack(posted, "delete from ledger.tiles")
    assert verdicts(select(posted, {"seq_range": (50, 51)})) == {"missing"}


@pytest.mark.parametrize("change", ["kind = 'hold'", "recorded_at = recorded_at + interval '1 second'"])
def test_every_verification_sees_that_a_records_own_row_was_edited(posted: Runtime, change: str) -> None:
    before = select(posted, {"seq_range": (49, 52)}).payload["rows"]
    assert [row["crosscheck"] for row in before] == ["match", "match", "match"]
    attack(posted, f"update ledger.records set {change} where seq = 50")
    found = select(posted, {"seq_range": (49, 52)})
    assert (found.verdict, verdicts(found)) == ("failed", {"edited"})
    assert {(failure["where"], failure["seq"]) for failure in found.failures} == {("ledger.records", 50)}
    assert [row["crosscheck"] for row in found.payload["rows"]] == ["match", "differs", "match"]


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("update ledger.entries set description = 'x' where seq = 50", "ledger.entries"),
        ("update ledger.postings set amount_minor = 7777 where seq = 50 and line = 0", "ledger.postings"),
        ("delete from ledger.postings where seq = 50 and line = 1", "ledger.postings"),
        ("insert into ledger.postings select book, seq, 9, account_id, direction, amount_minor, currency, effective_at"
         " from ledger.postings where seq = 50 and line = 0", "ledger.postings"),
    ],
)  # fmt: skip
def test_only_a_deep_verification_sees_an_edited_row(posted: Runtime, statement: str, table: str) -> None:
    attack(posted, statement)
    assert select(posted, {"seq_range": (49, 52)}).verdict == "verified"
    found = select(posted, {"seq_range": (49, 52)}, deep=True)
    assert found.verdict == "failed"
    assert {(failure["where"], failure["seq"]) for failure in found.failures} == {(table, 50)}
    assert [row["crosscheck"] for row in found.payload["rows"]] == ["match", "differs", "match"]


def test_a_forged_newest_checkpoint_fails(posted: Runtime) -> None:
    attack(posted, "update ledger.checkpoints set note = replace(note, '— ', '— not-')")
    assert verdicts(select(posted, {"seq_range": (5, 6)})) == {"bad_signature"}


def test_a_checkpoint_that_the_caller_kept_shows_a_dropped_tail(posted: Runtime) -> None:
    kept = post(posted, 700).checkpoint
    assert kept is not None
    attack(posted, "delete from ledger.checkpoints where size = 604")
    found = select(posted, {"seq_range": (5, 6)}, known_checkpoint=kept)
    assert (found.verdict, verdicts(found)) == ("failed", {"truncated"})


def test_a_checkpoint_that_is_not_of_this_log_is_the_callers_mistake(posted: Runtime) -> None:
    post(posted, 700)
    other = (
        posted.ledger("other")
        .append([RecordDraft(kind="security_event", body={"event": "x"})], Ask(actor=ME), atomic=True)
        .only
    )
    assert other.seq == 1
    note = posted.signer.latest(posted.settings.origin_of("other"))
    for bad in ("nonsense", note, note.replace("other", "main")):
        with pytest.raises(InvalidInput) as caught:
            select(posted, {"seq_range": (5, 6)}, known_checkpoint=bad)
        assert caught.value.pointer == "/known_checkpoint"


def test_what_was_never_recorded_is_not_found_and_not_damaged(posted: Runtime) -> None:
    for selector, pointer in (
        ({"entry_ids": ["shop:1", "shop:9999"]}, "/selector/entry_ids/1"),
        ({"seq_range": (600, 700)}, "/selector/seq_range/next"),
        ({"segment": 5}, "/selector/segment"),
    ):
        with pytest.raises(NotFound) as caught:
            select(posted, selector)
        assert caught.value.pointer == pointer
    with pytest.raises(InvalidInput):
        select(posted, {})
    assert check_book(posted, BOOK).sound
