"""What a database must promise: set where a session can, asked where it cannot, refused by name where it is not so."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text

from ledger_core.actor import Actor
from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from ledger_core.base.promises import require_promises
from ledger_core.book.ledger import Ledger
from ledger_core.errors import ConfigurationError, DependencyError
from ledger_core.evidence.check.checker import check_book
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import AccountDraft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.ports import Ask
from ledger_core.reading.heads import read_head
from ledger_core.runtime import Runtime, open_runtime
from ledger_core.settings import Settings

pytestmark = pytest.mark.integration

ME = Actor(subject="tester")
CHART = [AccountDraft(code=code, type="asset", currency="USD", normal_balance="debit") for code in "ab"]


def entry(external_id: str) -> EntryDraft:
    sides = (("a", "debit"), ("b", "credit"))
    return EntryDraft(
        effective_at=datetime(2026, 11, 23, tzinfo=UTC),
        external_id=external_id,
        description="",
        postings=tuple(
            PostingDraft(account=code, direction=side, amount_minor=1, currency="USD") for code, side in sides
        ),
    )


def default(engine: Engine, setting: str, value: str) -> None:
    """Have every later session of this database begin with `setting`."""
    name = make_url(engine.url).database
    with engine.begin() as connection:
        connection.execute(text(f"alter database {name} set {setting} = '{value}'"))


@pytest.mark.parametrize(
    ("setting", "value", "ours"),
    [
        ("synchronous_commit", "off", "on"),
        ("synchronous_commit", "local", "on"),
        ("synchronous_commit", "remote_write", "on"),
        ("synchronous_commit", "remote_apply", "remote_apply"),
        ("default_transaction_isolation", "repeatable read", "read committed"),
        ("default_transaction_isolation", "serializable", "read committed"),
        ("default_transaction_read_only", "on", "off"),
        ("default_transaction_deferrable", "on", "off"),
        ("timezone", "Asia/Kathmandu", "UTC"),
        ("client_encoding", "latin1", "UTF8"),
        ("tcp_keepalives_idle", "7200", "10"),
        ("tcp_user_timeout", "0", "30000"),
    ],
)
def test_a_session_of_ours_begins_as_it_must_whatever_the_database_says(
    engine: Engine, database_url: str, setting: str, value: str, ours: str
) -> None:
    default(engine, setting, value)
    mine = make_engine(database_url)
    try:
        with mine.connect() as connection:
            assert connection.execute(text(f"show {setting}")).scalar_one() == ours
            if setting == "default_transaction_isolation":
                assert connection.execute(text("show transaction_isolation")).scalar_one() == ours
    finally:
        mine.dispose()


def test_two_writers_on_a_database_that_would_repeat_its_reads_see_no_contradiction(
    engine: Engine, settings: Settings
) -> None:
    default(engine, "default_transaction_isolation", "repeatable read")
    with open_runtime(settings) as one, open_runtime(settings) as other:
        apply_accounts(one.ledger(), CHART, Ask(actor=ME))
        for number in range(6):
            ledger = (one, other)[number % 2].ledger()
            assert len(ledger.append([entry(f"e:{number}")], Ask(actor=ME)).posted) == 1
        assert check_book(one, "main").sound


def test_a_server_that_may_forget_is_refused_by_name_before_a_book_is_opened(settings: Settings) -> None:
    development = settings.model_copy(update={"env": "development"})
    with pytest.raises(ConfigurationError, match=r"fsync = off, full_page_writes = off"), open_runtime(development):
        raise AssertionError("opened")


def test_a_server_that_begins_to_forget_under_a_running_process_takes_nothing_more(runtime: Runtime) -> None:
    ledger = runtime.ledger()
    assert isinstance(ledger, Ledger)
    apply_accounts(ledger, CHART, Ask(actor=ME))
    # The tests' own server never wrote anything down: what is new is that this process minds.
    ledger._sequencer._writer._durable = True
    with pytest.raises(ConfigurationError, match="fsync = off"):
        ledger.append([entry("e:1")], Ask(actor=ME))
    assert isinstance(ledger.fault, ConfigurationError)
    with runtime.engine.connect() as connection:
        assert read_head(connection, "main").size == 3


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("alter table ledger.records set unlogged", "table ledger.records is unlogged"),
        ("alter table ledger.idempotency set unlogged", "table ledger.idempotency is unlogged"),
        ("alter table ledger.postings disable trigger balanced", "trigger ledger.postings.balanced is disabled"),
        ("alter table ledger.records disable trigger all", "trigger ledger.records.append_only is disabled"),
    ],
)
def test_a_table_that_is_not_kept_and_a_trigger_that_sleeps_are_refused_by_name(
    engine: Engine, damage: str, named: str
) -> None:
    require_promises(engine, durable=False)
    with engine.begin() as connection:
        connection.execute(text(damage))
    with pytest.raises(ConfigurationError, match=named):
        require_promises(engine, durable=False)


def test_a_database_whose_sessions_run_no_trigger_is_refused_by_name(engine: Engine, settings: Settings) -> None:
    default(engine, "session_replication_role", "replica")
    with pytest.raises(ConfigurationError, match="session_replication_role = replica"), open_runtime(settings):
        raise AssertionError("opened")


def test_triggers_that_are_put_to_sleep_under_a_running_process_stop_the_book(engine: Engine, runtime: Runtime) -> None:
    ledger = runtime.ledger()
    apply_accounts(ledger, CHART, Ask(actor=ME))
    default(engine, "session_replication_role", "replica")
    _drop_sessions(engine)
    with pytest.raises(DependencyError):
        ledger.append([entry("e:1")], Ask(actor=ME))
    with pytest.raises(ConfigurationError, match="session_replication_role = replica"):
        ledger.append([entry("e:1")], Ask(actor=ME))


def test_a_database_that_cannot_hold_every_text_is_refused_by_name(postgres: tuple[EmbeddedPostgres, int]) -> None:
    embedded, port = postgres
    name = f"latin_{os.getpid()}"
    admin = make_engine(embedded.url(port, "postgres"), role="login", pool_size=1)
    latin = make_engine(embedded.url(port, name), role="login", pool_size=1)
    try:
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"create database {name} template template0 encoding 'LATIN1' locale 'C'"))
        with pytest.raises(ConfigurationError, match="kept in LATIN1"):
            require_promises(latin, durable=False)
    finally:
        latin.dispose()
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"drop database if exists {name} with (force)"))
        admin.dispose()


def test_what_was_acknowledged_outlives_a_server_that_would_write_it_down_later(tmp_path: Path, home: Path) -> None:
    """By its own word the server writes nothing down for seconds; it is killed right after the answer."""
    embedded = EmbeddedPostgres(folder=tmp_path / "pg")
    server, port = embedded.start()
    url = embedded.url(port, "postgres")
    login = make_engine(url, role="login")
    try:
        with login.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("alter system set wal_writer_delay = '10s'"))
            connection.execute(text("select pg_reload_conf()"))
            connection.execute(text("alter database postgres set synchronous_commit = off"))
        settings = Settings(home_path=home, database_url=url, env="development", actor="test")
        with open_runtime(settings) as runtime:
            apply_accounts(runtime.ledger(), CHART, Ask(actor=ME))
            posted = runtime.ledger().append([entry("e:1")], Ask(actor=ME)).only
            server.kill()
            server.wait()
        login.dispose()
        server, _ = embedded.start(port=port)
        with open_runtime(settings) as runtime:
            with runtime.engine.connect() as connection:
                assert read_head(connection, "main").signed_size == posted.seq + 1
            assert len(runtime.ledger().append([entry("e:2")], Ask(actor=ME)).posted) == 1
    finally:
        login.dispose()
        server.send_signal(2)
        server.wait()


def test_a_clock_ahead_of_the_databases_gives_no_record_its_time_and_says_so(
    runtime: Runtime, settings: Settings
) -> None:
    apply_accounts(runtime.ledger(), CHART, Ask(actor=ME))
    offset = timedelta(days=36_525)
    ledger = Ledger(
        engine=runtime.engine, signer=runtime.signer, settings=settings, book="main", kinds=runtime.kinds,
        clock=lambda: runtime.clock() + offset,
    )  # fmt: skip
    try:
        with pytest.raises(DependencyError, match="this machine's clock says") as refused:
            ledger.append([entry("e:1")], Ask(actor=ME))
        assert refused.value.context["dependency"] == "clock"
        assert ledger.clock_ahead_seconds == pytest.approx(offset.total_seconds(), abs=30)
        assert ledger.fault is None
        # Put right, it goes on where it was; two machines that differ by seconds are no matter.
        offset = timedelta(seconds=20)
        posted = ledger.append([entry("e:1")], Ask(actor=ME)).only
        assert 10 < ledger.clock_ahead_seconds < 30
    finally:
        ledger.close()
    assert posted.recorded_at - runtime.clock() < timedelta(seconds=30)


def test_a_book_is_not_opened_by_a_clock_that_is_ahead(runtime: Runtime) -> None:
    runtime.clock = lambda: datetime.now(UTC) + timedelta(days=400)
    with pytest.raises(DependencyError, match="this machine's clock says"):
        runtime.ledger("second")
    runtime.clock = lambda: datetime.now(UTC)
    runtime.ledger("second")


def _drop_sessions(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
        )
