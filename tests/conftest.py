"""Fixtures over real parts: one embedded Postgres a session, a fresh database and a signing proxy a test that asks."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from sqlalchemy import Engine, text

from ledger_core.base.embedded import EmbeddedPostgres
from ledger_core.base.engine import make_engine
from ledger_core.base.migrate import migrate
from ledger_core.base.processes import ProcessGroup
from ledger_core.settings import Settings

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


@pytest.fixture
def database_url(postgres: tuple[EmbeddedPostgres, int]) -> Iterator[str]:
    """The address of a fresh, migrated database."""
    embedded, port = postgres
    name = f"test_{next(_numbers)}"
    admin = make_engine(embedded.url(port, "postgres"), role="login", pool_size=1)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {name} template {TEMPLATE}"))
    yield embedded.url(port, name)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"drop database if exists {name} with (force)"))
    admin.dispose()


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
    group = ProcessGroup(folder / "run")
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
