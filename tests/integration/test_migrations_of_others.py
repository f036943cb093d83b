"""A database that another release migrated, or that this login may not migrate: gone on with, or refused by name."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Engine, make_url, text

from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from ledger_core.base.migrate import migrate
from ledger_core.errors import ConfigurationError, DependencyError
from ledger_core.evidence.check.checker import check_book
from ledger_core.runtime import open_runtime
from ledger_core.settings import Settings

pytestmark = pytest.mark.integration

LOGIN = f"plain_{os.getpid()}"


def versions(engine: Engine, *changes: tuple[str, str]) -> None:
    """Have the database stand at other revisions: (from, to) for each."""
    with engine.begin() as connection:
        for before, after in changes:
            connection.execute(
                text("update migrations.version set version_num = :after where version_num like :before"),
                {"before": before, "after": after},
            )


def test_a_database_that_a_newer_release_migrated_is_gone_on_with(engine: Engine, settings: Settings) -> None:
    versions(engine, ("ledger_%", "ledger_9999"), ("ingest_%", "ingest_9999"))
    with engine.begin() as connection:
        connection.execute(text("insert into migrations.version values ('a_room_to_come_0001')"))
    assert migrate(engine) == []
    with open_runtime(settings) as runtime:
        runtime.ledger()
        assert check_book(runtime, "main").sound


@pytest.mark.parametrize("newer", ["ledger_9999", "a_room_to_come_0001"])
def test_one_that_is_newer_and_lacks_something_of_this_release_is_refused_by_name(engine: Engine, newer: str) -> None:
    versions(engine, ("ledger_%", newer), ("ingest_%", "ingest_0001"))
    with pytest.raises(ConfigurationError, match=f"newer release, to {newer}, and lacks ingest_"):
        migrate(engine)


@pytest.fixture
def plain(postgres: tuple[EmbeddedPostgres, int], engine: Engine) -> Iterator[Engine]:
    """The same database by a login that may read what was applied, and create nothing."""
    with engine.begin() as connection:
        connection.execute(text(f"create role {LOGIN} login password 'secret'"))
        connection.execute(text(f"grant usage on schema migrations to {LOGIN}"))
        connection.execute(text(f"grant select on migrations.version to {LOGIN}"))
    url = make_url(engine.url).set(username=LOGIN, password="secret").render_as_string(hide_password=False)
    made = make_engine(url, role="login")
    yield made
    made.dispose()
    with engine.begin() as connection:
        connection.execute(text(f"drop owned by {LOGIN}"))
        connection.execute(text(f"drop role {LOGIN}"))


def test_a_login_without_rights_goes_on_with_a_database_that_stands_and_is_told_what_one_behind_lacks(
    engine: Engine, plain: Engine
) -> None:
    assert migrate(plain) == []
    versions(engine, ("ledger_%", "ledger_0002"))
    with pytest.raises(ConfigurationError, match=r"stands at .*ledger_0002.* and lacks ledger_\d+, which this login"):
        migrate(plain)


def test_a_migration_that_waits_for_somebodys_lock_gives_up_and_says_so(engine: Engine) -> None:
    versions(engine, ("ledger_%", "ledger_0002"))
    with engine.begin() as connection:
        connection.execute(text("drop function ledger.store_checkpoint, ledger.peaks_after"))
        indexes = ("postings_by_account", "entries_effective", "entries_corrects")
        connection.execute(text("drop index " + ", ".join(f"ledger.{name}" for name in indexes)))
        tables = ("private_values", "private_keys", "erased_values", "erased_files", "replays", "relay_cursors")
        connection.execute(text("drop table " + ", ".join(f"ledger.{name}" for name in tables)))
        connection.execute(text("drop function ledger.refuse_private"))
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as holder:
        holder.execute("lock table ledger.postings in row exclusive mode")
        with pytest.raises(DependencyError, match="a table is held by somebody"):
            migrate(engine)
    assert [revision.rpartition("_")[0] for revision in migrate(engine)] == ["ledger"]
    assert migrate(engine) == []
