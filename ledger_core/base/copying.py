"""Several COPY commands in one query: the server goes from one to the next by itself.

A COPY of its own is started by a query, whose answer has to be awaited before data may follow, and ended by another
wait. Under load each wait costs its thread a turn of the interpreter's lock, which it has to win back: 2 ms. Here the
start of every command but the first comes with the end of the one before, so that three tables take four waits and not
six. psycopg's own `Cursor.copy` takes one command a query; what is used instead is its documented `pq` layer.

Protocol: https://www.postgresql.org/docs/current/protocol-flow.html, "COPY Operations" and "Multiple Statements in a
Simple Query".
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

from psycopg import Connection
from psycopg.errors import ProgrammingError, error_from_result
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

PIECE_BYTES = 1 << 20
"""What libpq is handed at once: its buffer doubles until a piece fits."""

_Result = TypeVar("_Result")
Steps = Generator[Wait, Ready | int, _Result]
"""What `Connection.wait` runs: yields what the socket must be ready for, is sent what it is, now and then nothing."""


def copy_in(
    conn: Connection[Any], streams: Sequence[tuple[str, bytes]], *, started: Callable[[], None] | None = None
) -> None:
    """Run each (`copy ... from stdin`, its data) of `streams` in turn, in the caller's transaction.

    `started` is called when the first command's data are on their way and the server has work to do. Raises what the
    server answers, as psycopg's errors; the commands after one that failed are not run.
    """
    if not streams:
        return
    if conn.pgconn.transaction_status != TransactionStatus.INTRANS:
        raise ProgrammingError("rows are copied in a transaction: several commands in one query would end their own.")
    with conn.lock:
        conn.wait(_copy_in(conn.pgconn, streams, started))


def _copy_in(pgconn: PGconn, streams: Sequence[tuple[str, bytes]], started: Callable[[], None] | None) -> Steps[None]:
    pgconn.send_query(";".join(into for into, _ in streams).encode())
    try:
        for number, (_, data) in enumerate(streams):
            yield from _expect(pgconn, ExecStatus.COPY_IN)
            for at in range(0, len(data), PIECE_BYTES):
                pgconn.put_copy_data(data[at : at + PIECE_BYTES])
                yield from _flush(pgconn)
            pgconn.put_copy_end()
            yield from _flush(pgconn)
            if started is not None and number == 0:
                started()
            yield from _expect(pgconn, ExecStatus.COMMAND_OK)
    finally:
        # Whatever the server still says belongs to this query, and would be taken for the answer to the next one.
        while (result := (yield from _result(pgconn))) is not None:
            if result.status == ExecStatus.COPY_IN:
                pgconn.put_copy_end(b"given up")


def _expect(pgconn: PGconn, status: ExecStatus) -> Steps[None]:
    """Wait for the next result. Raises psycopg's error for one that is not as `status` says."""
    result = yield from _result(pgconn)
    if result is None or result.status not in (status, ExecStatus.FATAL_ERROR):
        raise ProgrammingError(f"the server answers a COPY with {result and ExecStatus(result.status).name}.")
    if result.status != status:
        raise error_from_result(result, encoding="utf-8")


def _result(pgconn: PGconn) -> Steps[PGresult | None]:
    yield from _flush(pgconn)
    while pgconn.is_busy():
        while not (yield Wait.R):
            pass
        pgconn.consume_input()
    return pgconn.get_result()


def _flush(pgconn: PGconn) -> Steps[None]:
    while pgconn.flush():
        ready = yield Wait.RW
        # A server that has something to say may not read on before it was heard.
        if ready & Ready.R:
            pgconn.consume_input()
