"""The embedded server and the migrations, for whoever runs them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from ledger_core.base import embedded as embedded_module
from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine, parse_url
from ledger_core.base.migrate import migrate
from ledger_core.errors import ConfigurationError, DependencyError


@pytest.mark.parametrize("reaped", [True, False], ids=["reaped", "a zombie"])
def test_a_server_killed_hard_starts_again_with_its_data(tmp_path: Path, reaped: bool) -> None:
    embedded = EmbeddedPostgres(folder=tmp_path / "pg")
    process, port = embedded.start()
    try:
        with psycopg.connect(embedded.url(port, "postgres").replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("create table kept as select 1 as one")
        os.kill(process.pid, 9)
        if reaped:
            process.wait()
        killed = process
        process, port = embedded.start()
        killed.wait()
        with psycopg.connect(embedded.url(port, "postgres").replace("+psycopg", "")) as connection:
            assert connection.execute("select one from kept").fetchone() == (1,)
    finally:
        process.send_signal(2)
        process.wait()


def test_a_lock_whose_number_went_to_a_stranger_is_nobodys(tmp_path: Path) -> None:
    embedded = EmbeddedPostgres(folder=tmp_path / "pg", durable=False)
    process, _ = embedded.start()
    lock = (embedded.data_path / "postmaster.pid").read_text()
    process.send_signal(2)
    process.wait()
    stranger = str(os.getpid())
    (embedded.data_path / "postmaster.pid").write_text("\n".join([stranger, *lock.splitlines()[1:]]) + "\n")
    process, _ = embedded.start()
    process.send_signal(2)
    process.wait()


def test_a_server_that_runs_keeps_a_second_one_out(tmp_path: Path) -> None:
    embedded = EmbeddedPostgres(folder=tmp_path / "pg", durable=False)
    process, _ = embedded.start()
    try:
        with pytest.raises(DependencyError, match="already exists"):
            embedded.start()
        assert process.poll() is None
    finally:
        process.send_signal(2)
        process.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_without_user_namespaces_root_starts_it_as_nobody_or_says_which_folder_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_module, "_namespace_prefix", lambda: None)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ConfigurationError, match="cannot enter"):
        EmbeddedPostgres(folder=closed / "pg", durable=False).start()
    with tempfile.TemporaryDirectory() as reachable:
        Path(reachable).chmod(0o755)
        process, port = EmbeddedPostgres(folder=Path(reachable) / "pg", durable=False).start()
        assert psutil.Process(process.pid).username() == "nobody"
        assert port
        process.send_signal(2)
        process.wait()


def test_migrating_twice_changes_nothing(engine: Engine) -> None:
    assert migrate(engine) == []


def test_no_role_of_ours_can_log_in_and_the_writer_cannot_change_history(database_url: str, engine: Engine) -> None:
    with engine.connect() as connection:
        logins = connection.execute(
            text("select rolname from pg_roles where rolname like 'counterfoil\\_%' and rolcanlogin")
        ).all()
    assert logins == []
    writer = make_engine(database_url, role="writer")
    for statement in (
        "update ledger.records set kind = 'x'",
        "delete from ledger.postings",
        "truncate ledger.entries",
    ):
        with writer.connect() as connection, pytest.raises(DBAPIError):
            connection.execute(text(statement))
    writer.dispose()


def test_even_the_owner_is_told_that_history_is_append_only(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(text("truncate ledger.records"))


def test_another_database_than_postgres_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="mysql"):
        parse_url("mysql://localhost/x")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        parse_url("not an address")
