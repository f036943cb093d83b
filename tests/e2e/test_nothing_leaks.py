"""What other users of a machine can see of an installation: no secret on a command line, no file of the home."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.e2e.conftest import CommandLine

pytestmark = pytest.mark.e2e

TOKEN = "a-token-of-somebody-else"
ELSEWHERE = {"AWS_SECRET_ACCESS_KEY": "aws-s3cret", "SMTP_PASSWORD": "smtp-s3cret", "PGPASSWORD": "pg-s3cret"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CommandLine, subprocess.CompletedProcess[str]]]:
    """All that `up` starts, by somebody whose environment holds secrets of others; and what it said."""
    counterfoil = CommandLine(home=tmp_path_factory.mktemp("running") / "home")
    given = counterfoil.environment | {"COUNTERFOIL_LEDGER_TOKEN": TOKEN, **ELSEWHERE}
    finished = subprocess.run(
        [sys.executable, "-m", "cli.main", "up", "--json"], env=given, capture_output=True, text=True, umask=0
    )
    yield counterfoil, finished
    counterfoil("down", status=None)


def test_no_secret_is_on_a_command_line_in_an_environment_or_on_the_terminal(running) -> None:
    counterfoil, finished = running
    assert finished.returncode == 0, finished.stderr
    home: Path = counterfoil.home
    secrets = {
        (home / "postgres" / "password").read_text().strip(),
        (home / "dagster" / "password").read_text().strip(),
        (home / "api" / "development-token.secret").read_text().strip(),
        TOKEN,
        *ELSEWHERE.values(),
    }
    assert all(secrets)
    assert not any(secret in finished.stdout + finished.stderr for secret in secrets)

    ours = [json.loads(path.read_text())["pid"] for path in (home / "run").glob("*.json")]
    family = [psutil.Process(pid) for pid in ours]
    family += [child for process in family for child in process.children(recursive=True)]
    assert len(family) > 8
    for process in family:
        try:
            words, environment = " ".join(process.cmdline()), process.environ()
        except psutil.NoSuchProcess:
            continue
        assert not any(secret in words for secret in secrets), process.name()
        assert not any(secret in value for secret in secrets for value in environment.values()), process.name()

    in_no_file_but = {"password", "pgpass", "development-token.secret"}
    for path in home.rglob("*"):
        # What the database keeps of a password is no password; its files are large and its own.
        if path.is_file() and path.name not in in_no_file_but and "postgres/data" not in path.as_posix():
            content = path.read_bytes()
            assert not any(secret.encode() in content for secret in secrets), path


def test_every_file_of_a_home_is_its_owners_alone_whatever_the_umask(counterfoil, sample: Path, tmp_path: Path) -> None:
    for words in (
        ("accounts", "apply", sample / "accounts.yaml"),
        ("post", sample / "entries.jsonl"),
        ("ingest", "camt053", sample / "bank"),
        ("reconcile",),
        ("export", json.loads((sample / "truth.json").read_text())["as_of"]),
        ("token",),
    ):
        finished = subprocess.run(
            [sys.executable, "-m", "cli.main", *map(str, words)],
            env=counterfoil.environment, capture_output=True, text=True, umask=0,
        )  # fmt: skip
        assert finished.returncode in (0, 1), finished.stderr
    home: Path = counterfoil.home
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    open_to_others = {
        path.relative_to(home).as_posix(): oct(stat.S_IMODE(path.lstat().st_mode))
        for path in home.rglob("*")
        if not path.is_symlink() and path.lstat().st_mode & 0o077
    }
    assert open_to_others == {}


@pytest.mark.parametrize(("readers", "bits"), [("group", 0o050), ("everyone", 0o055)])
def test_the_archive_is_open_to_whom_the_setting_names_and_nothing_else_is(
    counterfoil, sample: Path, readers: str, bits: int
) -> None:
    environment = counterfoil.environment | {"COUNTERFOIL_LEDGER__ARCHIVE_READERS": readers}
    day = json.loads((sample / "truth.json").read_text())["as_of"]
    for words in (("accounts", "apply", sample / "accounts.yaml"), ("export", day)):
        subprocess.run([sys.executable, "-m", "cli.main", *map(str, words)], env=environment, check=True)
    home: Path = counterfoil.home
    assert stat.S_IMODE(home.stat().st_mode) & 0o077 == bits & 0o011
    archived = [path for path in (home / "archive").rglob("*") if ".incoming" not in path.parts]
    assert any(path.is_file() for path in archived)
    for path in [home / "archive", *archived]:
        expected = bits if path.is_dir() else bits & 0o044
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == expected, path
    assert all(path.stat().st_mode & 0o077 == 0 for path in home.iterdir() if path.name != "archive")


def test_dagster_comes_as_a_login_of_its_own_that_reads_no_book(running) -> None:
    counterfoil, finished = running
    database = json.loads(finished.stdout)["urls"]["database"]
    assert "***" in database
    password = (counterfoil.home / "dagster" / "password").read_text().strip()
    address = database.replace("counterfoil:***", f"dagster:{password}")
    with psycopg.connect(address, autocommit=True) as connection:
        assert connection.execute("select rolsuper from pg_roles where rolname = current_user").fetchone() == (False,)
        connection.execute("set role counterfoil_dagster")
        assert connection.execute("select count(*) from dagster.runs").fetchone() == (0,)
        for statement in ("select * from ledger.entries", "select * from raw.files", "select * from recon.breaks",
                          "set role counterfoil_writer", "create role x"):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
        seen = connection.execute(
            "select nspname from pg_namespace where nspname !~ '^pg_' and has_schema_privilege(oid, 'usage') order by 1"
        ).fetchall()
        assert [name for (name,) in seen] == ["dagster", "information_schema", "public"]
        connection.execute("reset role")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from ledger.entries")
    shown = counterfoil("status", "--json", "--secrets").json["urls"]["database"]
    assert (counterfoil.home / "postgres" / "password").read_text().strip() in shown
    assert os.path.basename(shown) == "postgres"  # noqa: PTH119 - the database's name
