"""Several COPY commands in one query: all, or an error, and a connection in order afterwards; array literals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg.pq import TransactionStatus

from ledger_core.base.arrays import numbers_array, texts_array
from ledger_core.base.copying import copy_in
from ledger_core.base.engine import make_engine

pytestmark = pytest.mark.integration

INTO_NUMBERS = "copy pg_temp.numbers from stdin"
INTO_TEXTS = "copy pg_temp.texts from stdin"
TOO_MUCH_FOR_A_SOCKET = 30_000_000


@pytest.fixture
def connect(database_url: str) -> Iterator[Any]:
    opened = []

    def make() -> psycopg.Connection[Any]:
        driver: Any = make_engine(database_url, role="login").raw_connection().driver_connection
        driver.autocommit = True
        opened.append(driver)
        return driver

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def conn(connect: Any) -> psycopg.Connection[Any]:
    driver: psycopg.Connection[Any] = connect()
    driver.execute("create temporary table numbers (n integer primary key)")
    driver.execute("create temporary table texts (t text)")
    return driver


def copied(conn: psycopg.Connection[Any], numbers: bytes, texts: bytes, **more: Any) -> None:
    with conn.transaction():
        copy_in(conn, [(INTO_NUMBERS, numbers), (INTO_TEXTS, texts)], **more)


def held(conn: psycopg.Connection[Any]) -> tuple[int, int]:
    assert conn.info.transaction_status == TransactionStatus.IDLE
    row = conn.execute(
        "select (select count(*) from numbers), (select coalesce(sum(length(t)), 0) from texts)"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def test_each_command_gets_its_own_data(conn: psycopg.Connection[Any]) -> None:
    copied(conn, b"1\n2\n", b"a\nbc\n")

    assert held(conn) == (2, 3)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from([INTO_NUMBERS, INTO_TEXTS]), st.integers(0, 5)), max_size=6))
def test_any_number_of_commands_in_any_order(conn: psycopg.Connection[Any], asked: list[tuple[str, int]]) -> None:
    conn.execute("truncate numbers; truncate texts")
    numbers = iter(range(1_000))
    streams = [
        (into, b"".join(b"%d\n" % next(numbers) for _ in range(count)) if into == INTO_NUMBERS else b"x\n" * count)
        for into, count in asked
    ]
    with conn.transaction():
        copy_in(conn, streams)

    wanted = [sum(count for into, count in asked if into == each) for each in (INTO_NUMBERS, INTO_TEXTS)]
    assert list(held(conn)) == wanted


def test_data_that_no_buffer_holds_at_once(conn: psycopg.Connection[Any]) -> None:
    copied(conn, b"1\n", b"x" * TOO_MUCH_FOR_A_SOCKET + b"\n")

    assert held(conn) == (1, TOO_MUCH_FOR_A_SOCKET)


@pytest.mark.parametrize(
    ("numbers", "texts", "error"),
    [
        pytest.param(b"1\n1\n", b"a\n", psycopg.errors.UniqueViolation, id="the first at its end"),
        pytest.param(
            b"no\n" * 1_000_000, b"a\n", psycopg.errors.InvalidTextRepresentation, id="the first in its middle"
        ),
        pytest.param(b"1\n", b"\xff\n", psycopg.errors.CharacterNotInRepertoire, id="the second"),
    ],
)
def test_what_the_server_refuses_is_its_error_and_nothing_is_kept(
    conn: psycopg.Connection[Any], numbers: bytes, texts: bytes, error: type[psycopg.Error]
) -> None:
    with pytest.raises(error):
        copied(conn, numbers, texts)

    assert held(conn) == (0, 0)
    copied(conn, b"1\n", b"a\n")
    assert held(conn) == (1, 1)


def test_it_is_said_when_the_server_has_work_to_do(conn: psycopg.Connection[Any]) -> None:
    said = []
    copied(conn, b"1\n", b"a\n", started=lambda: said.append(conn.info.transaction_status))

    assert said == [TransactionStatus.ACTIVE]


def test_a_caller_who_gives_up_midway_leaves_a_connection_in_order(conn: psycopg.Connection[Any]) -> None:
    def give_up() -> None:
        raise RuntimeError("given up")

    with pytest.raises(RuntimeError, match="given up"):
        copied(conn, b"1\n", b"a\n", started=give_up)

    assert held(conn) == (0, 0)


def test_outside_a_transaction_it_is_refused(conn: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.ProgrammingError, match="in a transaction"):
        copy_in(conn, [(INTO_NUMBERS, b"1\n")])

    assert held(conn) == (0, 0)


def test_a_command_that_is_no_copy_is_refused(conn: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.ProgrammingError, match="TUPLES_OK"), conn.transaction():
        copy_in(conn, [(INTO_NUMBERS, b"1\n"), ("select 1", b"")])

    assert held(conn) == (0, 0)


def test_a_server_that_goes_away_midway_is_an_operational_error(conn: psycopg.Connection[Any], connect: Any) -> None:
    other, pid = connect(), conn.info.backend_pid

    def kill() -> None:
        other.execute("select pg_terminate_backend(%s, 5000)", [pid])

    with pytest.raises(psycopg.OperationalError):
        copied(conn, b"1\n", b"x" * TOO_MUCH_FOR_A_SOCKET + b"\n", started=kill)

    assert conn.closed


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
@example([]).via("an array of nothing")
@example(['a"b', "c"])
@example(["\\"])
@example(["NULL", "", "{}", ",", " "])
def test_an_array_of_texts_arrives_as_it_was(conn: psycopg.Connection[Any], texts: list[str]) -> None:
    row = conn.execute("select %s::text[]", [texts_array(texts)]).fetchone()

    assert row == (texts,)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_array_of_numbers_arrives_as_it_was(conn: psycopg.Connection[Any], numbers: list[int]) -> None:
    row = conn.execute("select %s::bigint[]", [numbers_array(numbers)]).fetchone()

    assert row == (numbers,)
