"""Lists of one account and of one window read what they show and little more, however long the history is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from ledger_core.log.canonical import canonical_bytes
from ledger_core.reading import entries
from ledger_core.reading.balances import balance
from ledger_core.reading.entries import EntryFilter, list_entries

pytestmark = pytest.mark.integration

COUNT = 30_000
START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=1)
BODY = {
    "body": {
        "description": "", "effective_at": "2026-01-01T00:00:00.000000Z", "external_id": "e", "metadata": {},
        "postings": [],
    },
    "id": "i", "kind": "journal_entry", "recorded_at": "2026-01-01T00:00:00.000000Z",
}  # fmt: skip


@pytest.fixture
def conn(engine: Engine) -> Iterator[Connection]:
    """A book of 30,000 entries, one a minute: account 1 is in every other, 3 in every thousandth."""
    fill = [
        "insert into ledger.log_head (book, origin, size, signed_size, last_leaf, frontier) "
        "values ('main', 'o', :count, :count, sha256(''), '')",
        "insert into ledger.records select 'main', seq, 'journal_entry', :start + seq * :step, sha256(''), :body "
        "from generate_series(0, :count - 1) as seq",
        "insert into ledger.entries select 'main', seq, gen_random_uuid(), 'e' || seq, :start + seq * :step, '', '{}' "
        "from generate_series(0, :count - 1) as seq",
        "insert into ledger.accounts "
        "select 'main', id, 'a:' || id, 'asset', 'debit', 'USD', 'open', 'allowed', '{}', 0, 0 "
        "from generate_series(1, 3) as id",
        "insert into ledger.balances select 'main', id, :count, :count, 0 from generate_series(1, 3) as id",
        "insert into ledger.postings select 'main', seq, line, "
        "case when line = 0 then 1 + seq % 2 when seq % 1000 = 0 then 3 else 2 end, "
        "case line when 0 then 'debit' else 'credit' end, 1, 'USD', :start + seq * :step "
        "from generate_series(0, :count - 1) as seq, generate_series(0, 1) as line",
    ]
    given = {"count": COUNT, "start": START, "step": STEP, "body": canonical_bytes(BODY)}
    with engine.begin() as connection:
        for act in fill:
            names = {name: value for name, value in given.items() if f":{name}" in act}
            connection.execute(text(act), names)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("vacuum analyze"))
        yield connection


def read(conn: Connection, act: Any) -> tuple[Any, int, str]:
    """Return what `act` returns, how many pages the server looked at for it, and its plans."""
    pages, plans = 0, ""

    def explain(cursor: Any, statement: str, parameters: Any) -> None:
        nonlocal pages, plans
        if statement.lstrip().lower().startswith("select"):
            found = cursor.connection.execute(f"explain (analyze, buffers, format json) {statement}", parameters)
            plan = found.fetchone()[0][0]["Plan"]
            pages += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            plans += str(plan)

    def before(_conn: Any, cursor: Any, statement: str, parameters: Any, _context: Any, _many: Any) -> None:
        explain(cursor, statement, parameters)

    event.listen(conn, "before_cursor_execute", before)
    try:
        return act(), pages, plans
    finally:
        event.remove(conn, "before_cursor_execute", before)


def window(first: int, count: int) -> dict[str, datetime]:
    return {"effective_from": START + first * STEP, "effective_before": START + (first + count) * STEP}


CASES: dict[str, tuple[EntryFilter, int, list[int]]] = {
    "an account in every other": (EntryFilter(account="a:1"), -1, list(range(0, 200, 2))),
    "its last page": (EntryFilter(account="a:1"), COUNT - 21, list(range(COUNT - 20, COUNT, 2))),
    "an account in few": (EntryFilter(account="a:3"), 5_000, list(range(6_000, COUNT, 1000))),
    "an account twice in an entry": (EntryFilter(account="a:2"), -1, list(range(1, 101))),
    "an account and an hour": (EntryFilter(account="a:1", **window(20_000, 60)), -1, list(range(20_000, 20_060, 2))),
    "an account that is not there": (EntryFilter(account="a:9"), -1, []),
    "an hour": (EntryFilter(**window(20_000, 60)), -1, list(range(20_000, 20_060))),
    "an hour, from the middle": (EntryFilter(**window(20_000, 60)), 20_050, list(range(20_051, 20_060))),
    "a year": (EntryFilter(**window(0, COUNT)), -1, list(range(100))),
    "the end": (EntryFilter(effective_from=START + (COUNT - 5) * STEP), -1, list(range(COUNT - 5, COUNT))),
    "the beginning": (EntryFilter(effective_before=START + 5 * STEP), -1, list(range(5))),
}


@pytest.mark.parametrize("case", CASES)
def test_a_page_reads_no_history(conn: Connection, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    # Fewer than in life, as the history is shorter.
    monkeypatch.setattr(entries, "NEAR", 200)
    filters, after, expected = CASES[case]
    if case == "an account twice in an entry":
        expected = [seq for seq in range(200) if seq % 2 or seq % 1000][:100]
    found, pages, plans = read(conn, lambda: list_entries(conn, "main", after_seq=after, limit=100, filters=filters))
    assert [entry.seq for entry in found] == expected
    # `postings` has some 700 pages, `entries` with its indexes as many; a row that is shown is joined to five others.
    assert pages < 180 + 7 * len(expected)
    if case.startswith("an hour"):
        # So short a history is read as quickly from its beginning: what counts is that it is not.
        assert "entries_effective" in plans


def test_a_balance_as_it_was_known_reads_what_came_since(conn: Connection) -> None:
    at = START + (COUNT - 101) * STEP
    found, pages, _ = read(conn, lambda: balance(conn, "main", "a:1", known_at=at))
    assert found.debits == COUNT - 50
    assert found.as_of_seq == COUNT - 100
    assert pages < 150
