"""Where Dagster keeps its state: `dagster.yaml` in a folder of the home, tables in schema `dagster` of our Postgres.

One database holds the books and the runs that closed them, so that one backup restores both. Dagster hands its whole
configuration to its code servers on their command line, where every user of the machine can read it: so no secret
stands in it, and the password lies in a file that libpq reads for itself. In the embedded database Dagster has a login
of its own, which can do what the role `counterfoil_dagster` may and nothing else.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from urllib.parse import quote, urlencode

import yaml
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

from ledger_core.base.engine import make_engine, parse_url
from ledger_core.base.files import private_folder, write_once

SCHEMA = "dagster"
FOLDER_NAME = "dagster"
LOGIN = "dagster"
"""Dagster's own in the embedded database."""
PASSWORD_FILE = "password"  # noqa: S105 - where it lies
PASSFILE = "pgpass"
EVENT_BATCH_SIZE = 1_000
"""A range has an event an asset and day: written one by one, 28 days of 69 assets took 120 s, in batches 2 s."""
CONNECTION_SETTINGS = {
    "search_path": SCHEMA,
    "role": "counterfoil_dagster",
    "timezone": "UTC",
    # Events are told, not booked: a server that dies may forget the last of them, and the run is then closed again.
    "synchronous_commit": "off",
}


def write_dagster_home(home: Path, database_url: str, *, own_login: bool = False) -> Path:
    """Write `dagster.yaml` under `home` and make the schema; return the folder that `DAGSTER_HOME` must name.

    `own_login` gives Dagster a login of its own, for which `database_url` must be a superuser's. Writing is idempotent
    and atomic: a running webserver never reads half a file.
    """
    folder = private_folder(home / FOLDER_NAME)
    url = parse_url(database_url)
    made = own_login and not (folder / PASSWORD_FILE).exists()
    if own_login:
        url = url.set(username=LOGIN, password=_own_password(folder))
    write_passfile(folder, url)
    content = yaml.safe_dump(instance_config(folder, url), sort_keys=False)
    _write_if_new(folder / "dagster.yaml", content)
    _ensure_schema(database_url, login=url if own_login else None, new_password=made)
    return folder


def _own_password(folder: Path) -> str:
    path = folder / PASSWORD_FILE
    if not path.exists():
        write_once(path, secrets.token_urlsafe(24).encode() + b"\n", mode=0o600)
    return path.read_text().strip()


def _write_if_new(path: Path, content: str) -> None:
    if not path.exists() or path.read_text() != content:
        write_once(path, content.encode(), mode=0o600)


def write_passfile(folder: Path, url: URL) -> None:
    """Leave in `folder` the password of `url` where it has one, and no file where it has none.

    Who comes by certificate has none, and production refuses a home with such a file, also an empty one.
    """
    if content := passfile(url):
        _write_if_new(folder / PASSFILE, content)
    else:
        (folder / PASSFILE).unlink(missing_ok=True)


def passfile(url: URL) -> str:
    """Return the file in which libpq finds the password of `url` (PostgreSQL documentation, section 34.16)."""
    password = url.password or url.query.get("password")
    if not password:
        return ""
    return "*:*:*:*:" + str(password).replace("\\", "\\\\").replace(":", "\\:") + "\n"


def dagster_environment(folder: Path) -> dict[str, str]:
    """Return what Dagster reads from its environment and nowhere else."""
    return {
        "DAGSTER_HOME": str(folder),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DAGSTER_EVENT_BATCH_SIZE": str(EVENT_BATCH_SIZE),
    }


def instance_config(folder: Path, url: URL) -> dict[str, object]:
    """Return the content of `dagster.yaml`."""
    return {
        "storage": {"postgres": {"postgres_url": storage_url(url, folder / PASSFILE)}},
        "local_artifact_storage": {
            "module": "dagster._core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(folder)},
        },
        "compute_logs": {
            "module": "dagster._core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(folder / "compute_logs")},
        },
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},  # no first-visit dialogue that asks for an address
        # A run whose process is gone is marked failed instead of looking alive for ever.
        "run_monitoring": {"enabled": True, "poll_interval_seconds": 30},
        # One run at a time; the close's advisory lock holds where the queue does not reach.
        "concurrency": {"runs": {"max_concurrent_runs": 1}},
        "retention": {"schedule": {"purge_after_days": 90}, "sensor": {"purge_after_days": 7}},
    }


def storage_url(url: URL, passfile_path: Path) -> str:
    """Return the address for Dagster's storage: psycopg 2 by name, our schema and role by connection options.

    Without the driver's name SQLAlchemy 2.1 picks psycopg 3, under which Dagster's NOTIFY is a syntax error. A password
    is left to `passfile_path`; one that came as an option goes there with it.
    """
    plain = URL.create(
        "postgresql+psycopg2", username=url.username, host=url.host, port=url.port, database=url.database
    ).render_as_string()
    options = " ".join(f"-c{name}={value}" for name, value in CONNECTION_SETTINGS.items())
    kept = {name: value for name, value in url.query.items() if name not in ("options", "password")}
    query = kept | {"options": options}
    if passfile(url):
        query["passfile"] = str(passfile_path)
    return f"{plain}?{urlencode(query, doseq=True, quote_via=quote)}"


def _ensure_schema(database_url: str, *, login: URL | None, new_password: bool) -> None:
    engine = make_engine(database_url, role="login", application="counterfoil-dagster", pool_size=1)
    try:
        with engine.begin() as connection:
            known = text("select 1 from pg_namespace where nspname = :name")
            if connection.execute(known, {"name": SCHEMA}).scalar() is None:
                connection.execute(text(f"create schema if not exists {SCHEMA} authorization counterfoil_dagster"))
            if login is not None:
                _ensure_login(connection, str(login.password), new_password=new_password)
    finally:
        engine.dispose()


def _ensure_login(connection: Connection, password: str, *, new_password: bool) -> None:
    """Make Dagster's login, or tell it a new password; it has no right but its role's."""
    known = connection.execute(text("select 1 from pg_roles where rolname = :name"), {"name": LOGIN}).scalar()
    if known and not new_password:
        return
    verb = "alter" if known else "create"
    # A role's password takes no parameter; this one is of letters, digits, `-` and `_`.
    connection.execute(
        text(f"{verb} role {LOGIN} login nosuperuser nocreatedb nocreaterole noinherit password '{password}'")
    )
    connection.execute(text(f"grant counterfoil_dagster to {LOGIN}"))
