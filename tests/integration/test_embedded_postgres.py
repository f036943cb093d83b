"""The embedded server and the migrations, for whoever runs them."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from ledger_core.base import embedded as embedded_module
from ledger_core.base.embedded import PASSED_ON, EmbeddedPostgres
from ledger_core.base.embedded_remains import _is_child, _processes_inside, clear_remains
from ledger_core.base.engine import make_engine, parse_url
from ledger_core.base.migrate import migrate
from ledger_core.base.processes import free_port, short_socket_folder
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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_servers_of_other_users_keep_nobodys_lock(postgres: tuple[EmbeddedPostgres, int]) -> None:
    stranger = 12_345
    with tempfile.TemporaryDirectory() as made:
        data_path = Path(made) / "data"
        data_path.mkdir()
        lock = data_path / "postmaster.pid"
        lock.write_text("1\n")
        for each in (Path(made), data_path, lock):
            os.chown(each, stranger, stranger)
        child = os.fork()
        if child == 0:  # whom the kernel does not tell where the servers of others are
            os.setuid(stranger)
            clear_remains(data_path, Path(made), free_port())
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert not lock.exists()


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
    with tempfile.TemporaryDirectory(dir=open_folder()) as reachable:
        Path(reachable).chmod(0o755)
        # The programs too: the environment that they come with may lie in a folder that only its owner enters.
        package = embedded_module.binary("postgres").parents[2]
        for folder in package.parent.glob(f"{package.name}*"):
            shutil.copytree(folder, Path(reachable) / folder.name, symlinks=True)
        for path in Path(reachable).rglob("*"):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        programs = Path(reachable) / package.name / "pginstall" / "bin"
        monkeypatch.setattr(embedded_module, "binary", lambda name: programs / name)
        process, port = EmbeddedPostgres(folder=Path(reachable) / "pg", durable=False).start()
        assert psutil.Process(process.pid).username() == "nobody"
        assert port
        process.send_signal(2)
        process.wait()


def open_folder() -> Path:
    """Return a folder for temporary files that every user may enter, wherever this one's own lies."""
    for folder in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):
        if folder.is_dir() and all(step.stat().st_mode & 0o001 for step in (folder, *folder.parents)):
            return folder
    pytest.skip("no folder here may be entered by every user")


def children_of(data_path: Path) -> list[psutil.Process]:
    return [process for process in _processes_inside(data_path) if _is_child(process)]


def test_a_child_that_computes_on_after_its_server_was_killed_keeps_nobody_out(tmp_path: Path) -> None:
    embedded = EmbeddedPostgres(folder=tmp_path / "pg")
    process, port = embedded.start()
    url = embedded.url(port, "postgres").replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table kept as select 1 as one")

    def compute() -> None:
        with suppress(psycopg.Error), psycopg.connect(url) as busy:
            busy.execute("select count(*) from generate_series(1, 3000000000)")

    computing = threading.Thread(target=compute)
    computing.start()
    asked = "select exists (select from pg_stat_activity where query like 'select count%' and state = 'active')"
    deadline = time.monotonic() + 60
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(asked).fetchone() != (True,):
            assert time.monotonic() < deadline, "nothing computes"
            time.sleep(0.02)
    os.kill(process.pid, 9)
    began = time.monotonic()
    again, same_port = embedded.start(port=port)
    try:
        assert same_port == port
        assert time.monotonic() - began < 20
        with psycopg.connect(url) as connection:
            assert connection.execute("select one from kept").fetchone() == (1,)
    finally:
        process.wait()
        again.send_signal(2)
        again.wait()
        computing.join(10)


@pytest.mark.parametrize("name", [".s.PGSQL.{port}.lock", ".s.PGSQL.{port}"])
def test_a_lock_of_the_socket_whose_number_went_to_a_stranger_is_nobodys(tmp_path: Path, name: str) -> None:
    embedded = EmbeddedPostgres(folder=tmp_path / "pg", durable=False)
    process, port = embedded.start()
    process.send_signal(2)
    process.wait()
    socket_folder = short_socket_folder(embedded.folder)
    (socket_folder / name.format(port=port)).write_text(f"{os.getpid()}\n{embedded.data_path}\n1\n{port}\n")
    process, _ = embedded.start(port=port)
    process.send_signal(2)
    process.wait()


def test_only_a_server_that_serves_is_found_standing(tmp_path: Path) -> None:
    embedded = EmbeddedPostgres(folder=tmp_path / "pg", durable=False)
    assert embedded.standing() is None
    process, port = embedded.start()
    assert embedded.standing() == (process.pid, port)
    os.kill(process.pid, 9)
    process.wait()
    assert embedded.standing() is None
    clear_remains(embedded.data_path, short_socket_folder(embedded.folder), port)
    assert children_of(embedded.data_path) == []
    assert not (embedded.data_path / "postmaster.pid").exists()


def test_the_socket_is_its_owners_and_the_server_is_told_nothing_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("COUNTERFOIL_LEDGER_TOKEN", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "PGOPTIONS"):
        monkeypatch.setenv(name, "-c s3cret")
    embedded = EmbeddedPostgres(folder=tmp_path / "pg", durable=False)
    before = os.umask(0)
    try:
        process, port = embedded.start()
    finally:
        os.umask(before)
    try:
        unix_socket = short_socket_folder(embedded.folder) / f".s.PGSQL.{port}"
        assert stat.S_IMODE(unix_socket.stat().st_mode) == 0o700
        assert set(psutil.Process(process.pid).environ()) <= {*PASSED_ON, "PG_GRANDPARENT_PID"}
        for path in (embedded.folder, *embedded.folder.iterdir()):
            assert path.stat().st_mode & 0o077 == 0, path
    finally:
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
