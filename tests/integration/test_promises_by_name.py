"""Each promise that a database is asked for, broken alone: it is named, and nothing else is.

What is done about it: `test_database_promises.py`.
"""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, Engine, text

from ledger_core.base import embedded as embedded_module
from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from ledger_core.base.promises import broken_promises_sql, not_durable, require_promises
from ledger_core.errors import ConfigurationError

pytestmark = pytest.mark.integration


def broken(connection: Connection, *, durable: bool = False) -> list[str]:
    found = connection.execute(text(f"select {broken_promises_sql(durable=durable)}")).scalar_one()
    return list(found)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("set synchronous_commit = off", ["synchronous_commit = off"]),
        ("set synchronous_commit = local", ["synchronous_commit = local"]),
        ("set synchronous_commit = remote_write", ["synchronous_commit = remote_write"]),
        ("set synchronous_commit = remote_apply", []),
        ("set transaction isolation level repeatable read", ["transaction_isolation = repeatable read"]),
        ("set transaction isolation level serializable", ["transaction_isolation = serializable"]),
        ("set session_replication_role = replica", ["session_replication_role = replica"]),
        ("set session_replication_role = local", ["session_replication_role = local"]),
    ],
)
def test_what_a_session_does_not_promise_is_named(engine: Engine, statement: str, named: list[str]) -> None:
    with engine.connect() as connection:
        assert broken(connection) == []
        connection.rollback()
        connection.execute(text(statement))
        assert broken(connection) == named


def test_what_the_server_does_not_promise_is_named_where_it_counts(engine: Engine) -> None:
    """The tests' own server never waits for its disk."""
    with engine.connect() as connection:
        assert broken(connection, durable=True) == ["fsync = off", "full_page_writes = off"]
        assert broken(connection, durable=False) == []
    for durable, refused in ((True, True), (False, False)):
        try:
            require_promises(engine, durable=durable)
        except ConfigurationError:
            assert refused
        else:
            assert not refused


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("disable trigger append_only", "is disabled"),
        ("disable trigger all", "is disabled"),
        ("enable replica trigger append_only", "fires on replicas alone"),
    ],
)
def test_every_trigger_that_does_not_fire_is_named_in_order_and_nothing_else(
    engine: Engine, how: str, told: str
) -> None:
    with engine.begin() as connection:
        connection.execute(text("alter table ledger.records enable always trigger append_only"))
    require_promises(engine, durable=False)
    with engine.begin() as connection:
        connection.execute(text(f"alter table ledger.records {how}"))
        connection.execute(text("alter table ledger.postings disable trigger balanced"))
        connection.execute(text("create table public.of_others (id bigint)"))
        connection.execute(text("alter table public.of_others set unlogged"))
        connection.execute(
            text(
                "create trigger asleep before update on public.of_others for each row "
                "execute function suppress_redundant_updates_trigger()"
            )
        )
        connection.execute(text("alter table public.of_others disable trigger asleep"))
    with pytest.raises(ConfigurationError) as refused:
        require_promises(engine, durable=False)
    named = ["trigger ledger.postings.balanced is disabled", f"trigger ledger.records.append_only {told}"]
    assert refused.value.message == not_durable(named).message


def test_every_table_that_is_not_kept_is_named_in_order_and_none_of_its_indexes(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in ("records", "idempotency"):
            connection.execute(text(f"alter table ledger.{table} set unlogged"))
    with pytest.raises(ConfigurationError) as refused:
        require_promises(engine, durable=False)
    named = [f"table ledger.{table} is unlogged" for table in ("idempotency", "records")]
    assert refused.value.message == not_durable(named).message


def test_both_ends_of_a_connection_take_the_other_for_lost_after_half_a_minute(database_url: str) -> None:
    mine = make_engine(database_url)
    try:
        with mine.connect() as connection:
            driver = connection.connection.dbapi_connection
            assert isinstance(driver, psycopg.Connection)
            ours = driver.info.get_parameters()
            theirs = {
                name: connection.execute(text(f"show {name}")).scalar_one()
                for name in (
                    "tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout",
                )
            }  # fmt: skip
    finally:
        mine.dispose()
    assert {name: ours[name] for name in ours if "keepalive" in name or "timeout" in name} == {
        "connect_timeout": "10",
        "keepalives": "1",
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "4",
        "tcp_user_timeout": "30000",
    }
    assert theirs == {
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "4",
        "tcp_user_timeout": "30000",
    }


def test_a_standby_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded = EmbeddedPostgres(folder=tmp_path / "pg", durable=False)
    process, port = embedded.start()
    process.send_signal(2)
    process.wait()
    (embedded.data_path / "standby.signal").touch()
    # A standby never calls itself ready: whoever waits for that waits for a primary.
    monkeypatch.setattr(embedded_module, "_wait_until_ready", lambda *_: True)
    process, port = embedded.start()
    url = embedded.url(port, "postgres")
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(url.replace("+psycopg", "")).close()
                break
            except psycopg.OperationalError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        login = make_engine(url, role="login", pool_size=1)
        with pytest.raises(ConfigurationError, match="the database is a standby, which only reads"):
            require_promises(login, durable=False)
        login.dispose()
    finally:
        process.send_signal(2)
        process.wait()
