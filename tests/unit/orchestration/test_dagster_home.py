"""What Dagster is told about storage, telemetry and its processes."""

from __future__ import annotations

from pathlib import Path
from typing import cast
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from ledger_core.base.engine import parse_url
from ledger_core.settings import Settings
from orchestration.dagster_home import EVENT_BATCH_SIZE, instance_config, passfile, storage_url, write_passfile
from orchestration.processes import daemon_command, webserver_command

URL = "postgresql+psycopg://me:p%40ss@127.0.0.1:5433/books?sslmode=require"
PASSFILE = Path("/home/dagster/pgpass")


def test_storage_names_the_old_driver_because_dagsters_notify_fails_under_the_new_one() -> None:
    assert storage_url(parse_url(URL), PASSFILE).startswith("postgresql+psycopg2://me@127.0.0.1:5433/books?")


def test_storage_keeps_to_its_own_schema_and_role_and_keeps_the_addresss_own_options() -> None:
    query = parse_qs(urlsplit(storage_url(parse_url(URL), PASSFILE)).query)
    assert query["sslmode"] == ["require"]
    assert "-csearch_path=dagster" in query["options"][0]
    assert "-crole=counterfoil_dagster" in query["options"][0]


@pytest.mark.parametrize(
    "given", ["me:s3cret@127.0.0.1/books", "me@127.0.0.1/books?password=s3cret", "me:s3cret@/books?host=/run"]
)
def test_no_password_stands_in_what_dagster_writes_on_command_lines(given: str) -> None:
    url = parse_url(f"postgresql://{given}")
    assert "s3cret" not in yaml.safe_dump(instance_config(Path("/home"), url))
    assert passfile(url) == "*:*:*:*:s3cret\n"
    assert parse_qs(urlsplit(storage_url(url, PASSFILE)).query)["passfile"] == [str(PASSFILE)]


def test_a_password_of_any_characters_is_written_as_libpq_reads_it() -> None:
    assert passfile(parse_url(URL).set(password="a:b\\c")) == "*:*:*:*:a\\:b\\\\c\n"
    without = parse_url("postgresql://me@127.0.0.1/books")
    assert passfile(without) == ""
    assert "passfile" not in storage_url(without, PASSFILE)


def test_nothing_is_told_to_anybody() -> None:
    config = instance_config(Path("/home"), parse_url(URL))
    assert cast("dict[str, object]", config["telemetry"])["enabled"] is False
    assert cast("dict[str, object]", config["nux"])["enabled"] is False


def test_runs_launched_from_the_ui_find_home_and_database_by_the_environment(tmp_path: Path) -> None:
    settings = Settings(home_path=tmp_path, database_url=URL, env="test")
    for _, environment in (webserver_command(settings, 3000), daemon_command(settings)):
        assert environment["COUNTERFOIL_HOME"] == str(tmp_path)
        assert environment["DAGSTER_HOME"] == str(tmp_path / "dagster")
        assert environment["DATABASE_URL"] == URL
        assert environment["DAGSTER_DISABLE_TELEMETRY"] == "1"
        assert environment["DAGSTER_EVENT_BATCH_SIZE"] == str(EVENT_BATCH_SIZE)


def test_the_web_server_stays_on_the_loopback_because_it_has_no_login(tmp_path: Path) -> None:
    arguments, _ = webserver_command(Settings(home_path=tmp_path, database_url=URL, env="test"), 3000)
    assert arguments[arguments.index("-h") + 1] == "127.0.0.1"


def test_who_has_no_password_leaves_no_file_of_them_that_production_would_refuse(tmp_path: Path) -> None:
    certificate = parse_url("postgresql://books@db.example.com/books?sslmode=verify-full&sslcert=/run/a.pem")
    write_passfile(tmp_path, certificate)
    assert list(tmp_path.iterdir()) == []
    write_passfile(tmp_path, parse_url("postgresql://books:hunter2@db.example.com/books"))
    assert "hunter2" in (tmp_path / "pgpass").read_text()
    assert (tmp_path / "pgpass").stat().st_mode & 0o777 == 0o600
    write_passfile(tmp_path, certificate)
    assert list(tmp_path.iterdir()) == [], "nor one that is left of before"
