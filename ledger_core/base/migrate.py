"""Migrations: one Alembic branch a room, all brought to their heads by one call.

Objects belong to the role `counterfoil_migrator`, which cannot log in; the login that runs migrations becomes it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.errors import InsufficientPrivilege, LockNotAvailable
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from ledger_core.base.engine import ROLES
from ledger_core.errors import ConfigurationError, DependencyError

ROOMS = ("ledger_core", "ingest", "payments", "reconciliation")
VERSION_SCHEMA = "migrations"
VERSION_TABLE = "version"
MIGRATION_LOCK = 0x636F756E  # "coun"


def migrate(engine: Engine) -> list[str]:
    """Bring every room's schema to its head; return the heads that were applied, none if all stood already.

    `engine` needs a login that may create roles and schemas in its database. A database that a newer release migrated
    is left as it is: releases only add. Raises `ConfigurationError`, naming them, for migrations that it lacks
    and this login may not apply; `DependencyError` while somebody holds a table that one of them changes.
    """
    config = _config()
    script = ScriptDirectory.from_config(config)
    with engine.connect() as connection:
        if not _lacking(script, _applied(connection)):
            return []
        connection.rollback()
        connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK})
        try:
            before = _applied(connection)
            lacking = _lacking(script, before)
            if not lacking:
                return []
            newer = before - _known(script)
            if newer:
                raise ConfigurationError(
                    f"the database was migrated by a newer release, to {', '.join(sorted(newer))}, and lacks "
                    f"{', '.join(sorted(lacking))} of this one.",
                    remedy="Use the newer release, which has both.",
                )
            with _told(before, lacking):
                _prepare_roles(connection)
                connection.commit()
                connection.execute(text("set role counterfoil_migrator"))
                config.attributes["connection"] = connection
                command.upgrade(config, "heads")
                connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("reset role"))
            connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": MIGRATION_LOCK})
            connection.commit()
    return sorted(set(script.get_heads()) - before)


@contextmanager
def _told(applied: set[str], lacking: set[str]) -> Iterator[None]:
    """Say by name what keeps a database behind: a right that the login lacks, a lock that somebody else has."""
    stands = f"the database stands at {', '.join(sorted(applied)) or 'nothing'} and lacks {', '.join(sorted(lacking))}"
    try:
        yield
    except (DBAPIError, psycopg.Error) as error:
        # A script of ours runs on the driver, where nobody wraps what it raises.
        cause = getattr(error, "orig", error)
        why = str(cause).strip().splitlines()[0]
        if isinstance(cause, InsufficientPrivilege):
            raise ConfigurationError(
                f"{stands}, which this login may not apply: {why}.",
                remedy="Run `counterfoil up` once with a login that may create roles and schemas.",
            ) from error
        if isinstance(cause, LockNotAvailable):
            raise DependencyError(f"{stands}, and a table is held by somebody: {why}.", remedy="Try again.") from error
        raise


def _known(script: ScriptDirectory) -> set[str]:
    return {revision.revision for revision in script.walk_revisions()}


def _lacking(script: ScriptDirectory, applied: set[str]) -> set[str]:
    """Return this release's heads that the database does not have, nor one that a newer release put on top of it.

    Revisions are named by their room and count up, so that a room's newer ones are known without their files.
    """
    newer = [_parts(revision) for revision in applied - _known(script)]
    lacking = set()
    for head in script.get_heads():
        room, number = _parts(head)
        if head not in applied and not any(theirs == room and count > number for theirs, count in newer):
            lacking.add(head)
    return lacking


def _parts(revision: str) -> tuple[str, int]:
    room, _, number = revision.rpartition("_")
    return room, int(number) if number.isdecimal() else -1


def _config() -> Config:
    config = Config()
    here = Path(__file__).resolve().parents[1]
    config.set_main_option("script_location", str(here / "migrations"))
    config.set_main_option("path_separator", "os")
    locations = [str(path) for path in _version_folders()]
    config.set_main_option("version_locations", ":".join(locations))
    return config


def _version_folders() -> list[Path]:
    folders = []
    for room in ROOMS:
        # Found, not imported: the ledger knows that other rooms have tables, never what is in them.
        spec = importlib.util.find_spec(room)
        if spec is None or not spec.submodule_search_locations:
            continue
        folder = Path(next(iter(spec.submodule_search_locations))) / "migrations" / "versions"
        if any(folder.glob("[!_]*.py")):
            folders.append(folder)
    return folders


def _applied(connection: Connection) -> set[str]:
    context = MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE, "version_table_schema": VERSION_SCHEMA}
    )
    return set(context.get_current_heads())


def _prepare_roles(connection: Connection) -> None:
    may_create: bool = connection.execute(
        text("select rolsuper or rolcreaterole from pg_roles where rolname = current_user")
    ).scalar_one()
    for role in ROLES:
        name = f"counterfoil_{role}"
        exists = connection.execute(text("select 1 from pg_roles where rolname = :name"), {"name": name}).scalar()
        if not exists:
            if not may_create:
                raise ConfigurationError(
                    f"the database has no role {name} and this login may not create it.",
                    remedy="Grant the login CREATEROLE, or create the roles counterfoil_"
                    + "|".join(ROLES)
                    + " as NOLOGIN and grant them to it.",
                )
            # Roles belong to the cluster, migrations to a database: two databases may be prepared at once.
            connection.execute(
                text(
                    f"do $$ begin create role {name} nologin; "
                    "exception when duplicate_object or unique_violation then null; end $$"
                )
            )
        connection.execute(
            text(
                f"do $$ begin if not pg_has_role(current_user, '{name}', 'member') then "
                f"execute format('grant {name} to %I', current_user); end if; end $$"
            )
        )
    connection.execute(
        text(
            "do $$ begin execute format("
            "'grant create on database %I to counterfoil_migrator', current_database()); end $$"
        )
    )
    connection.execute(text(f"create schema if not exists {VERSION_SCHEMA} authorization counterfoil_migrator"))


def run_script(connection: Connection, path: Path) -> None:
    """Run the SQL of `path` as it stands, several commands and `%` included, on a migration's connection."""
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute(path.read_text())
