"""A restored database that is behind: what it lacks is put behind it, after proving that it is the beginning."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from ledger_core.errors import IntegrityError, LedgerBehind, LedgerForked
from ledger_core.evidence.check.checker import check_book
from ledger_core.evidence.replay.replay import replay
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings
from tests.integration.replay.conftest import BOOK, ME, Company, Fresh, rows_of
from tests.integration.replay.test_replay import require_equal

pytestmark = pytest.mark.integration

Restored = tuple[Company, str]


@pytest.fixture
def restored(settings: Settings, fresh: Fresh) -> Iterator[Restored]:
    """The company of today, and the address of a backup of its database from after the first night."""
    with open_runtime(settings) as runtime:
        company = Company(runtime)
        company.live()
        company.post(150)
    backup = fresh(settings.database_url)
    with open_runtime(settings) as runtime:
        company.runtime = runtime
        company.live_on()
        yield company, backup


def superuser(url: str) -> psycopg.Connection[tuple[object, ...]]:
    connection = psycopg.connect(url.replace("+psycopg", ""))
    connection.execute("set session_replication_role = replica")
    return connection


def test_what_is_missing_is_put_behind_what_there_is(
    restored: Restored, beside: Callable[[str], Runtime], tmp_path: Path
) -> None:
    company, backup = restored
    behind = beside(backup)
    with pytest.raises(LedgerBehind) as refused:
        behind.ledger(BOOK).append([company.entry()], Ask(actor=ME))
    assert "counterfoil replay --continue" in str(refused.value.remedy)
    before = rows_of(backup)
    (done,) = replay(behind, company.archive, proceed=True)
    assert 0 < done.first_seq < done.size
    assert done.first_seq == len(before["records"])
    assert done.behind == 1
    (rest,) = replay(behind, company.archive, proceed=True, tail=company.tail(tmp_path / "tail.jsonl"))
    assert (rest.records, rest.behind) == (1, 0)
    keys = rows_of(backup)["idempotency"]
    assert keys == before["idempotency"], "what the backup had of the keys stays"
    with superuser(backup) as connection:
        connection.execute("delete from ledger.idempotency")
    require_equal(company.runtime.database_url, backup)
    again = beside(backup)
    assert check_book(again, BOOK).sound
    assert again.ledger(BOOK).append([company.entry()], Ask(actor=ME)).posted
    (nothing,) = replay(again, company.archive, proceed=True)
    assert nothing.records == 0


def test_a_book_that_the_database_lacks_is_rebuilt_whole(
    company: Company, fresh: Fresh, beside: Callable[[str], Runtime]
) -> None:
    rebuilt = beside(fresh())
    (done,) = replay(rebuilt, company.archive, proceed=True)
    assert done.first_seq == 0


def test_an_unsigned_tail_that_was_signed_later_is_the_same_record(
    restored: Restored, beside: Callable[[str], Runtime]
) -> None:
    company, backup = restored
    with superuser(backup) as connection:
        connection.execute("delete from ledger.checkpoints where size > 400")
        connection.execute("update ledger.log_head set signed_size = (select max(size) from ledger.checkpoints)")
    (done,) = replay(beside(backup), company.archive, proceed=True)
    assert done.records > 0


FORKS = {
    "a record says something else": (
        "update ledger.records set canonical = "
        "convert_to(replace(convert_from(canonical, 'UTF8'), '970', '971'), 'UTF8') where seq = 20",
        IntegrityError,
    ),
    "the head states another tree": (
        "update ledger.log_head set frontier = decode(repeat('ab', octet_length(frontier)), 'hex')",
        IntegrityError,
    ),
    "the last record is another one": (None, LedgerForked),
}


@pytest.mark.parametrize("what", FORKS)
def test_a_database_of_another_history_is_not_gone_on_with(
    restored: Restored, beside: Callable[[str], Runtime], what: str
) -> None:
    company, backup = restored
    statement, error = FORKS[what]
    with superuser(backup) as connection:
        if statement is not None:
            assert connection.execute(statement).rowcount == 1
        else:
            fork(connection)
    before = rows_of(backup)
    with pytest.raises(error) as refused:
        replay(beside(backup), company.archive, proceed=True)
    assert type(refused.value) is error, refused.value
    if error is LedgerForked:
        assert refused.value.context["seq"] == len(before["records"]) - 1
        assert "two histories" in refused.value.message
    assert rows_of(backup) == before


def fork(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Replace the last record, and mend leaf, head and tree over it, as somebody would who was let write meanwhile."""
    from ledger_core.log.merkle import Frontier, leaf_hash

    rows = connection.execute("select seq, canonical from ledger.records order by seq").fetchall()
    seq, last = rows[-1]
    other = re.sub(rb'("recorded_at":"[0-9:T.-]+)[0-9]Z', rb"\g<1>xZ", bytes(last)).replace(b"xZ", b"0Z")
    other = other if other != bytes(last) else bytes(last).replace(b'0Z","schema"', b'1Z","schema"')
    assert other != bytes(last)
    leaves = [leaf_hash(bytes(row[1])) for row in rows[:-1]] + [leaf_hash(other)]
    connection.execute(
        "update ledger.records set canonical = %s, leaf_hash = %s where seq = %s", [other, leaves[-1], seq]
    )
    connection.execute(
        "update ledger.log_head set last_leaf = %s, frontier = %s",
        [leaves[-1], Frontier().extend(leaves).to_bytes()],
    )


def test_a_database_that_is_ahead_lacks_nothing_and_one_that_forked_before_the_end_is_told(
    company: Company, fresh: Fresh, beside: Callable[[str], Runtime]
) -> None:
    (done,) = replay(company.runtime, company.archive, proceed=True)
    assert done.records == 0
    with superuser(company.runtime.database_url) as connection:
        rows = connection.execute("select size from ledger.log_head").fetchone()
        assert rows is not None
        fork(connection)
    (done,) = replay(company.runtime, company.archive, proceed=True)
    assert done.records == 0, "what lies behind the archive's end it cannot judge: `check` holds it against the proxy"
