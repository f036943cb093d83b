"""Fixtures over real parts: one embedded Postgres a session, a fresh database and a signing proxy a test that asks."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from sqlalchemy import Engine, text

from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from ledger_core.base.migrate import migrate
from ledger_core.base.objects.s3 import S3Store
from ledger_core.base.processes import ProcessGroup
from ledger_core.log.bucket import Bucket
from ledger_core.log.object_tree import Place, place_of
from ledger_core.settings import Settings
from ledger_core.settings.rooms import ArchiveSettings

TEMPLATE = "counterfoil_template"

# A deadline measures the machine, and the machine is shared; examples are printed as they fail.
hypothesis_settings.register_profile("counterfoil", deadline=None, print_blob=True)
hypothesis_settings.load_profile("counterfoil")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List by name what this machine lacked; where CI says that it has everything, that is a failure."""
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section("not run here")
        for report in skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            terminalreporter.line(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a CI run that skipped anything."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedPostgres, int]]:
    """An embedded server without fsync, with one migrated database to clone."""
    embedded = EmbeddedPostgres(folder=tmp_path_factory.mktemp("pg"), durable=False)
    process, port = embedded.start()
    admin = make_engine(embedded.url(port, "postgres"), role="login", pool_size=1)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {TEMPLATE}"))
    template = make_engine(embedded.url(port, TEMPLATE), role="login", pool_size=1)
    migrate(template)
    template.dispose()
    admin.dispose()
    yield embedded, port
    process.send_signal(2)
    process.wait(timeout=30)


@contextmanager
def fresh_database(postgres: tuple[EmbeddedPostgres, int]) -> Iterator[str]:
    """Yield the address of a fresh, migrated database, which is dropped afterwards."""
    embedded, port = postgres
    name = f"test_{next(_numbers)}"
    admin = make_engine(embedded.url(port, "postgres"), role="login", pool_size=1)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # Without fsync the copy of files costs a third of what the log of it does, to make and to drop.
        connection.execute(text(f"create database {name} template {TEMPLATE} strategy file_copy"))
    yield embedded.url(port, name)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"drop database if exists {name} with (force)"))
    admin.dispose()


@pytest.fixture
def database_url(postgres: tuple[EmbeddedPostgres, int]) -> Iterator[str]:
    """The address of a fresh, migrated database."""
    with fresh_database(postgres) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A superuser's engine on the fresh database."""
    made = make_engine(database_url, role="login")
    yield made
    made.dispose()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home folder; whatever was started in it is stopped afterwards."""
    folder = tmp_path / "home"
    yield folder
    stop_all(folder)


def stop_all(home: Path) -> None:
    """Stop what was started in `home`."""
    group = ProcessGroup(home / "run")
    for record in reversed(group.records()):
        group.stop(record.name)


@pytest.fixture
def settings(home: Path, database_url: str) -> Settings:
    """Settings of a home of its own on the fresh database."""
    return Settings(home_path=home, database_url=database_url, env="test", actor="test")


@pytest.fixture
def runtime(settings: Settings) -> Iterator[object]:
    """The whole wiring on the fresh database, with a real signing proxy process."""
    from ledger_core.runtime import open_runtime

    with open_runtime(settings) as opened:
        yield opened


VERSITYGW = "versitygw-v1.8.0"
"""As `make setup-full` builds it."""
_buckets = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Server:
    """A real S3 service on the loopback, which keeps versions and locks; `folder` holds what its disk holds."""

    endpoint: str
    folder: Path

    def clone(self, bucket: str) -> str:
        """Return the name of a copy of `bucket`, versions and locks and all, made behind the service's back."""
        name = f"{bucket}-copy-{next(_buckets)}"
        for part in ("data", "versions"):
            if (self.folder / part / bucket).exists():
                shutil.copytree(self.folder / part / bucket, self.folder / part / name)
        return name


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveBucket:
    """A bucket with versions and object lock, and `client` for whoever holds a key that may write to it."""

    server: S3Server
    name: str
    client: Any

    @property
    def settings(self) -> ArchiveSettings:
        """An archive in it, locked for a day."""
        return ArchiveSettings(
            url=f"s3://{self.name}/books", endpoint=self.server.endpoint, retention_years=0, retention_days=1
        )

    @property
    def place(self) -> Place:
        """The archive as a verifier finds it."""
        return place_of(f"s3://{self.name}/books", endpoint=self.server.endpoint)

    def store(self, **options: Any) -> S3Store:
        """Return the store over the archive."""
        return S3Store(
            f"s3://{self.name}/books",
            retention=timedelta(days=1),
            clock=lambda: datetime.now(UTC),
            endpoint=self.server.endpoint,
            **options,
        )

    def all_keys(self) -> list[str]:
        """Return the keys of all objects, hidden ones too."""
        return [key for key, _ in Bucket(self.name, endpoint=self.server.endpoint).versions("")]

    def clone(self) -> ArchiveBucket:
        """Return a copy to be attacked."""
        return ArchiveBucket(server=self.server, name=self.server.clone(self.name), client=self.client)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A Versity gateway over a folder, with the credentials of its owner in the environment."""
    program = s3_program()
    folder = tmp_path_factory.mktemp("s3")
    for part in ("data", "versions"):
        (folder / part).mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [program, "--port", f"127.0.0.1:{port}", "posix", "--versioning-dir", folder / "versions"]
    with pytest.MonkeyPatch.context() as patch, (folder / "log").open("wb") as log:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ACCESS_KEY_ID", "archive")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "archive-secret")
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        secrets = {"ROOT_ACCESS_KEY": "archive", "ROOT_SECRET_KEY": "archive-secret"}
        process = subprocess.Popen(
            [*arguments, folder / "data"], stdout=log, stderr=log, env={"PATH": os.defpath, **secrets}
        )
        try:
            _await_port(process, port)
            yield S3Server(endpoint=f"http://127.0.0.1:{port}", folder=folder)
        finally:
            process.terminate()
            process.wait(timeout=30)


def s3_program() -> Path:
    """Return the S3 service; where it is not, the test is skipped by name."""
    program = versitygw()
    if not program.exists():
        pytest.skip("needs an S3 service: make setup-full builds one with Go")
    return program


def versitygw() -> Path:
    """Return where `make setup-full` leaves the S3 service."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "counterfoil" / "tools" / VERSITYGW / "versitygw"


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, "the S3 service ended at its start"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("the S3 service does not listen")


@pytest.fixture(scope="session")
def s3_client(s3_server: S3Server) -> Iterator[Any]:
    """Whoever holds the key that may write."""
    client = Bucket("any", endpoint=s3_server.endpoint).client
    yield client
    client.close()


@pytest.fixture
def bucket(s3_server: S3Server, s3_client: Any) -> ArchiveBucket:
    """A fresh bucket with versions and object lock."""
    return make_bucket(s3_server, s3_client)


def make_bucket(server: S3Server, client: Any) -> ArchiveBucket:
    """Make a bucket with versions and object lock."""
    name = f"archive-{next(_buckets)}"
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return ArchiveBucket(server=server, name=name, client=client)
