"""One at a time, across processes: a lock that lives with its connection."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from ledger_core.base.engine import make_engine
from ledger_core.base.locks import hold_lock
from ledger_core.errors import DependencyError

pytestmark = pytest.mark.integration

LOCK = 0x74657374


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url, role="login")
    yield engine
    engine.dispose()


def busy() -> DependencyError:
    return DependencyError("somebody has it.")


def test_who_comes_second_is_refused_and_let_in_when_the_first_is_done(engine: Engine) -> None:
    with hold_lock(engine, LOCK, busy=busy):
        with pytest.raises(DependencyError, match="somebody has it"), hold_lock(engine, LOCK, busy=busy):
            pass
        with hold_lock(engine, LOCK, of="main", busy=busy), hold_lock(engine, LOCK, of="other", busy=busy):
            pass
    with pytest.raises(ZeroDivisionError), hold_lock(engine, LOCK, busy=busy):
        raise ZeroDivisionError
    with hold_lock(engine, LOCK, busy=busy):
        pass


def test_a_waiting_one_waits_as_long_as_it_said(engine: Engine) -> None:
    started = time.monotonic()
    with (
        hold_lock(engine, LOCK, busy=busy),
        pytest.raises(DependencyError),
        hold_lock(engine, LOCK, wait_seconds=0.3, busy=busy),
    ):
        pass
    assert time.monotonic() - started >= 0.3


def test_whoever_is_killed_gives_it_back(engine: Engine, database_url: str) -> None:
    other = make_engine(database_url, role="login")
    with other.connect() as held:
        backend = held.execute(text("select pg_backend_pid()")).scalar_one()
        held.execute(text("select pg_advisory_lock(:lock)"), {"lock": LOCK})
        with pytest.raises(DependencyError), hold_lock(engine, LOCK, busy=busy):
            pass
        with engine.begin() as connection:
            connection.execute(text("select pg_terminate_backend(:backend)"), {"backend": backend})
        with hold_lock(engine, LOCK, wait_seconds=10, busy=busy):
            pass
        held.invalidate()
    other.dispose()
