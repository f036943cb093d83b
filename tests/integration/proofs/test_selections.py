"""What a verification is asked for, and rows that lead it to something else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ledger_core.actor import Actor
from ledger_core.errors import IntegrityError, InvalidInput, NotFound
from ledger_core.evidence.export.segment import export_segment
from ledger_core.evidence.proofs import selection
from ledger_core.evidence.proofs.prove import Period, entry_proof
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import account_draft
from ledger_core.ports import Ask, RecordDraft

pytestmark = pytest.mark.integration

START, FIRST = datetime(2026, 3, 1, 8, tzinfo=UTC), 3
ME = Actor(subject="tester")


def business(first: int, following: int) -> dict[str, Any]:
    hours = (START + timedelta(hours=first), START + timedelta(hours=following))
    return {"period": Period(time="effective_at", start=hours[0], before=hours[1])}


def recorded(asked: Any, first: int, following: int) -> dict[str, Any]:
    """The stretch of recorded time of the records [first, following)."""
    rows = asked.rows(
        "select recorded_at from ledger.records where seq in (:first, :following) order by seq",
        first=first, following=following,
    )  # fmt: skip
    return {"period": Period(time="recorded_at", start=rows[0].recorded_at, before=rows[1].recorded_at)}


def seqs(found: Any) -> list[int]:
    return [record["seq"] for record in found.payload["records"]]


def failed(found: Any) -> set[tuple[str, int | None, str]]:
    assert found.verdict == "failed"
    return {(item["verdict"], item["seq"], item["where"]) for item in found.failures}


def test_a_period_of_business_time_is_its_entries(asked: Any) -> None:
    found = asked.select(business(10, 34), deep=True)
    assert (found.verdict, seqs(found)) == ("verified", list(range(FIRST + 10, FIRST + 34)))
    assert asked.offline(found) == ("verified", 0)
    assert found.payload["selector"] == {
        "period": {"effective_before": "2026-03-02T18:00:00.000000Z", "effective_from": "2026-03-01T18:00:00.000000Z"}
    }


def test_a_period_of_recorded_time_is_records_of_every_kind_and_those_on_either_side(asked: Any) -> None:
    found = asked.select(recorded(asked, 1, 10))
    assert (found.verdict, seqs(found)) == ("verified", list(range(11)))
    assert asked.offline(found) == ("verified", 0)
    long_ago = {"period": Period(time="recorded_at", start=datetime(2001, 1, 1, tzinfo=UTC), before=START)}
    with pytest.raises(NotFound, match="no record of that period"):
        asked.select(long_ago)


def test_the_last_records_of_a_period_have_none_after_them(asked: Any) -> None:
    (last,) = asked.rows("select recorded_at from ledger.records order by seq desc limit 1")
    period = Period(time="recorded_at", start=last.recorded_at, before=last.recorded_at + timedelta(days=1))
    assert seqs(asked.select({"period": period})) == [FIRST + 598, FIRST + 599]


def test_a_period_of_more_than_a_bundle_holds_is_refused_and_an_empty_one_not_found(
    asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFound, match="no entry of that period") as caught:
        asked.select(business(5_000, 5_001))
    assert caught.value.pointer == "/selector/period"
    monkeypatch.setattr(selection, "MAX_SELECTED", 100)
    for selector in (business(0, 101), recorded(asked, 10, 111), {"seq_range": (0, 101)}):
        with pytest.raises(InvalidInput, match="more than 100 records"):
            asked.select(selector)
    assert asked.select(business(0, 100)).verdict == "verified"


def test_records_of_more_bytes_than_a_bundle_holds_are_refused_before_they_are_read(asked: Any) -> None:
    drafts = [
        RecordDraft(kind="security_event", body={"event": "x", "what": f"{n} {'x' * 60_000}"}) for n in range(200)
    ]
    for first in range(0, 200, 50):
        asked.runtime.ledger("main").append(drafts[first : first + 50], Ask(actor=ME))
    with pytest.raises(InvalidInput, match="bytes, and 11,534,336 are the most") as caught:
        asked.select({"seq_range": (603, 803)}, include_bytes=False)
    assert caught.value.pointer == "/selector"
    assert asked.select({"seq_range": (603, 780)}).verdict == "verified"


@pytest.mark.parametrize(
    ("statement", "selector", "seq"),
    [
        ("update ledger.entries set external_id = 'x' where seq = 50;"
         "update ledger.entries set external_id = 'shop:47' where seq = 51;"
         "update ledger.entries set external_id = 'shop:48' where seq = 50", {"entry_ids": ["shop:47"]}, 51),
        ("update ledger.entries set external_id = 'shop:9999' where seq = 50", {"entry_ids": ["shop:9999"]}, 50),
        ("update ledger.entries set seq = 5000 where seq = 51; update ledger.entries set seq = 51 where seq = 50",
         {"entry_ids": ["shop:47"]}, 51),
        ("update ledger.entries set seq = 2 where seq = 50", {"entry_ids": ["shop:47"]}, 2),
        ("update ledger.entries set seq = 5000 where seq = 50", {"entry_ids": ["shop:47"]}, 5000),
        ("update ledger.entries set effective_at = effective_at + interval '1 year' where seq = 50",
         {"period": Period(time="effective_at", start=START.replace(year=2027), before=START.replace(year=2028))}, 50),
    ],
)  # fmt: skip
def test_a_row_that_leads_to_another_record_is_no_answer(
    asked: Any, statement: str, selector: dict[str, Any], seq: int
) -> None:
    for part in statement.split(";"):
        asked.attack(part)
    found = asked.select(selector)
    assert failed(found) == {("edited", seq, "ledger.entries")}
    assert asked.offline(found) == ("edited", 1)
    if "entry_ids" in selector:
        with pytest.raises(IntegrityError, match="cannot be proved"):
            entry_proof(asked.runtime, "main", selector["entry_ids"][0])


def test_an_id_that_was_moved_to_another_entry_is_no_answer(asked: Any) -> None:
    (row,) = asked.rows("select id::text from ledger.entries where seq = 50")
    asked.attack("update ledger.entries set id = gen_random_uuid() where seq = 50")
    asked.attack("update ledger.entries set id = cast(:id as uuid) where seq = 60", id=row.id)
    assert failed(asked.select({"entry_ids": [row.id.upper()]})) == {("edited", 60, "ledger.entries")}


@pytest.mark.parametrize("hidden", [(300, 310), (295, 301), (309, 320)])
def test_a_period_of_recorded_time_whose_rows_were_moved_out_of_it_is_seen_by_its_neighbours(
    asked: Any, hidden: tuple[int, int]
) -> None:
    selector = recorded(asked, 300, 310)
    shift = "- interval '1 day'" if hidden[0] < 305 else "+ interval '1 day'"
    asked.attack(
        f"update ledger.records set recorded_at = recorded_at {shift} where seq >= :first and seq < :following",
        first=hidden[0], following=hidden[1],
    )  # fmt: skip
    assert {verdict for verdict, _, _ in failed(asked.select(selector))} == {"edited"}


def test_a_record_that_is_gone_where_a_period_is_looked_for_is_evidence(asked: Any) -> None:
    selector = recorded(asked, 300, 310)
    asked.attack("delete from ledger.records where seq = 301")
    found = asked.select(selector)
    assert ("missing", 301, "ledger.records") in failed(found)
    assert asked.offline(found) == ("missing", 1)


# Deep: the rows of every kind.

CHANGES = {
    "the kind of a record": ("update ledger.records set kind = 'export' where seq = 50", 50, "ledger.records"),
    "its time": ("update ledger.records set recorded_at = recorded_at + interval '1 us' where seq = 50", 50,
                 "ledger.records"),
    "its hash": ("update ledger.records set leaf_hash = sha256('x') where seq = 50", 50, "ledger.records"),
    "a version of an account": ("update ledger.account_versions set status = 'x' where seq = 1", 1,
                                "ledger.account_versions"),
    "a version that no record made": ("insert into ledger.account_versions select book, seq, 999, 'x:y', type, "
                                      "normal_balance, currency, status, overdraft, metadata "
                                      "from ledger.account_versions where seq = 1", 1, "ledger.account_versions"),
    "a version that is gone": ("delete from ledger.account_versions where seq = 1", 1, "ledger.account_versions"),
    "an account as it stands": ("update ledger.accounts set overdraft = 'forbidden' where code = 'assets:cash:usd'",
                                603, "ledger.accounts"),
    "an export": ("update ledger.exports set next_seq = next_seq - 1", 604, "ledger.exports"),
    "an export that is gone": ("delete from ledger.exports", 604, "ledger.exports"),
}  # fmt: skip


@pytest.fixture
def changed(asked: Any) -> Any:
    """The book after an account was changed and a segment exported."""
    apply_accounts(
        asked.runtime.ledger("main"),
        [account_draft(code="assets:cash:usd", type="asset", currency="USD", metadata={"a": "b"})],
        Ask(actor=ME),
    )
    export_segment(asked.runtime, closed_on=date(2026, 3, 1), book="main")
    return asked


@pytest.mark.parametrize("name", CHANGES)
def test_deep_sees_a_changed_row_of_any_kind(changed: Any, name: str) -> None:
    statement, seq, table = CHANGES[name]
    wanted = {"seq_range": (0, 60)} if seq < 60 else {"seq_range": (600, 605)}
    before = changed.select(wanted, deep=True)
    assert (before.verdict, {row["crosscheck"] for row in before.payload["rows"]}) == ("verified", {"match"})
    changed.attack(statement)
    found = changed.select(wanted, deep=True)
    assert (seq, table) in {(item["seq"], item["where"]) for item in found.failures}, found.failures
    assert next(row for row in found.payload["rows"] if row["seq"] == seq)["crosscheck"] == "differs"
    assert changed.offline(found)[1] == 1


def test_deep_of_an_old_version_holds_the_account_as_it_stands_today(changed: Any) -> None:
    (row,) = changed.rows("select seq from ledger.account_versions order by seq limit 1")
    assert changed.select({"seq_range": (row.seq, row.seq + 1)}, deep=True).verdict == "verified"


def test_a_change_of_an_account_is_taken(changed: Any) -> None:
    """That the fixture's change is a version of its own, or the cases above would not show what they say."""
    assert len(changed.rows("select 1 from ledger.account_versions where seq >= 600")) == 1
