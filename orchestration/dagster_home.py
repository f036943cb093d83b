"""Where Dagster keeps its state: `dagster.yaml` in a folder of the home, tables in schema `dagster` of our Postgres.

One database holds the books and the runs that closed them, so that one backup restores both.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, urlencode

import yaml
from sqlalchemy import text

from ledger_core.base.engine import make_engine, parse_url

SCHEMA = "dagster"
FOLDER_NAME = "dagster"
EVENT_BATCH_SIZE = 1_000
"""A range has an event an asset and day: written one by one, 28 days of 69 assets took 120 s, in batches 2 s."""
CONNECTION_SETTINGS = {
    "search_path": SCHEMA,
    "role": "counterfoil_dagster",
    "timezone": "UTC",
    # Events are told, not booked: a server that dies may forget the last of them, and the run is then closed again.
    "synchronous_commit": "off",
}


def write_dagster_home(home: Path, database_url: str) -> Path:
    """Write `dagster.yaml` under `home` and make the schema; return the folder that `DAGSTER_HOME` must name.

    Writing is idempotent and atomic: a running webserver never reads half a file.
    """
    folder = home / FOLDER_NAME
    folder.mkdir(parents=True, exist_ok=True)
    content = yaml.safe_dump(instance_config(folder, database_url), sort_keys=False)
    target = folder / "dagster.yaml"
    if not target.exists() or target.read_text() != content:
        draft = folder / f".dagster.yaml.{os.getpid()}"
        draft.touch(mode=0o600)  # the database's password is in it
        draft.write_text(content)
        draft.replace(target)
    _ensure_schema(database_url)
    return folder


def dagster_environment(folder: Path) -> dict[str, str]:
    """Return what Dagster reads from its environment and nowhere else."""
    return {
        "DAGSTER_HOME": str(folder),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DAGSTER_EVENT_BATCH_SIZE": str(EVENT_BATCH_SIZE),
    }


def instance_config(folder: Path, database_url: str) -> dict[str, object]:
    """Return the content of `dagster.yaml`."""
    return {
        "storage": {"postgres": {"postgres_url": storage_url(database_url)}},
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


def storage_url(database_url: str) -> str:
    """Return the address for Dagster's storage: psycopg 2 by name, our schema and role by connection options.

    Without the driver's name SQLAlchemy 2.1 picks psycopg 3, under which Dagster's NOTIFY is a syntax error.
    """
    url = parse_url(database_url).set(drivername="postgresql+psycopg2")
    plain = url.set(query={}).render_as_string(hide_password=False)
    options = " ".join(f"-c{name}={value}" for name, value in CONNECTION_SETTINGS.items())
    query = {name: value for name, value in url.query.items() if name != "options"} | {"options": options}
    return f"{plain}?{urlencode(query, doseq=True, quote_via=quote)}"


def _ensure_schema(database_url: str) -> None:
    engine = make_engine(database_url, role="login", application="counterfoil-dagster", pool_size=1)
    try:
        with engine.begin() as connection:
            known = text("select 1 from pg_namespace where nspname = :name")
            if connection.execute(known, {"name": SCHEMA}).scalar() is None:
                connection.execute(text(f"create schema if not exists {SCHEMA} authorization counterfoil_dagster"))
    finally:
        engine.dispose()
