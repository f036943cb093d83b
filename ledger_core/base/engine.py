"""Connections to Postgres: always psycopg 3, in a role of our own, with settings of our own (`base/promises.py`)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from ledger_core.base.promises import CONNECTION, SESSION
from ledger_core.errors import ConfigurationError, DependencyError

ROLES = ("migrator", "writer", "reader", "dbt", "dagster", "auditor")
OLDEST_SERVER, NEWEST_SERVER = 15, 18
ADDRESS_FORM = "Use postgresql://user:password@host:port/database."


def parse_url(url: str) -> URL:
    """Read a Postgres address, filling in the driver: a bare `postgresql://` must not pick one by itself.

    Raises `ConfigurationError` for anything else than Postgres.
    """
    try:
        parsed = make_url(url)
    except Exception as error:
        raise ConfigurationError(
            "DATABASE_URL cannot be read as an address.",
            remedy=ADDRESS_FORM,
        ) from error
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigurationError(
            f"DATABASE_URL names {parsed.get_backend_name()}, and only Postgres will do.",
            remedy=ADDRESS_FORM,
        )
    return parsed.set(drivername="postgresql+psycopg")


def make_engine(url: str, *, role: str = "writer", application: str = "counterfoil", pool_size: int = 8) -> Engine:
    """Return an engine whose connections act as `counterfoil_<role>`; role "login" keeps the login's own rights."""
    if role != "login" and role not in ROLES:
        raise ConfigurationError(f"there is no database role {role}.")
    engine = create_engine(
        parse_url(url),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        connect_args={"application_name": application, **CONNECTION},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(SESSION)
            if role != "login":
                cursor.execute(f"set role counterfoil_{role}")
        connection.commit()

    return engine


def require_server(engine: Engine) -> int:
    """Return the major version. Raises `DependencyError` if the server is away, `ConfigurationError` outside 15-18."""
    try:
        with engine.connect() as connection:
            version = int(connection.execute(text("show server_version_num")).scalar_one()) // 10_000
    except OperationalError as error:
        raise DependencyError(
            f"the database does not answer: {str(error.orig).strip().splitlines()[0]}",
            remedy="Check DATABASE_URL and that the server runs.",
        ) from error
    if not OLDEST_SERVER <= version <= NEWEST_SERVER:
        raise ConfigurationError(
            f"the database is Postgres {version}; supported are {OLDEST_SERVER} to {NEWEST_SERVER}."
        )
    return version
