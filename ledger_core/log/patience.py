"""How long a bucket may keep somebody waiting: each answer as a whole, and all that one task asks of it.

A time-out of a socket ends a silence. A service that sends a byte a second is never silent, and would hold an export,
or a verification, for as long as it likes. So what is counted is the time spent waiting, byte by byte: every byte earns
a little of it back, and a service slower than `MIN_BYTES_PER_SECOND` in the long run is as good as away. Our own work
between two reads costs nothing. Invariant: whatever is sent, waiting ends, with an error of the error tree's.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any

CALL_SECONDS = 120.0
"""Of one request with all its attempts, and of one object that is read, beyond what its bytes earn."""
TASK_SECONDS = 1800.0
"""Of one export, check or verification in all, beyond what bytes and answers earn."""
MIN_BYTES_PER_SECOND = 64 * 1024
ANSWER_EARNS_SECONDS = 1.0
"""An answer that came whole: a slow service with many objects is slow, and not away."""
MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""Of whatever is no object: a page of a listing has a thousand names of at most a thousand characters."""


class OutOfPatienceError(Exception):
    """Waiting took longer than it may. Turned into a `DependencyError` where the bucket is named."""


@dataclass(slots=True)
class Patience:
    """Seconds of waiting that are left, never more than at first; `max_bytes` bounds what may be received in all."""

    left: float
    max_bytes: int | None = None
    _most: float = field(init=False)

    def __post_init__(self) -> None:
        self._most = self.left

    def require(self) -> float:
        """Return how long the next wait may be. Raises `OutOfPatienceError` where nothing is left."""
        if self.left <= 0:
            raise OutOfPatienceError("it is too slow to be waited for")
        return self.left

    def spend(self, seconds: float, size_bytes: int) -> None:
        """Count a wait in which `size_bytes` went over, either way."""
        # What came in a moment, or only went into a buffer, is no credit for an hour of nothing.
        self.left = min(self._most, self.left + size_bytes / MIN_BYTES_PER_SECOND - seconds)

    def earn(self, seconds: float) -> None:
        """Give some of it back."""
        self.left = min(self._most, self.left + seconds)

    def receive(self, size_bytes: int) -> None:
        """Count what came. Raises `OutOfPatienceError` for more than there may be."""
        if self.max_bytes is not None:
            self.max_bytes -= size_bytes
            if self.max_bytes < 0:
                raise OutOfPatienceError("its answer does not come to an end")


_call: ContextVar[Patience | None] = ContextVar("call", default=None)
_task: ContextVar[Patience | None] = ContextVar("task", default=None)


@contextmanager
def one_call(patience: Patience) -> Iterator[None]:
    """Wait for what is received in this block no longer than `patience` and the task's lets."""
    token = _call.set(patience)
    try:
        _require()
        yield
    finally:
        _call.reset(token)


@contextmanager
def one_task(seconds: float | None = None) -> Iterator[None]:
    """Bound what all buckets together may keep this block waiting; within another task that one's bound stands."""
    if _task.get() is not None:
        yield
        return
    token = _task.set(Patience(TASK_SECONDS if seconds is None else seconds))
    try:
        yield
    finally:
        _task.reset(token)


def is_out_of_patience() -> bool:
    """Say whether the task that is being done may wait no more."""
    task = _task.get()
    return task is not None and task.left <= 0


def earn_answer() -> None:
    """Count an answer that came whole."""
    task = _task.get()
    if task is not None and task.left > 0:
        task.earn(ANSWER_EARNS_SECONDS)


def bound_connections(client: Any) -> None:
    """Make every connection that `client`, one of boto3's, opens wait as this module says.

    boto3 has no setting for it. What is exchanged here is which classes its session takes connections from; a test with
    a server that trickles says when that no longer is so.
    """
    session = client._endpoint.http_session
    pools = _pools()
    session._pool_classes_by_scheme = pools
    session._manager.pool_classes_by_scheme = pools


@cache
def _pools() -> dict[str, type]:
    from botocore.awsrequest import (
        AWSHTTPConnection,
        AWSHTTPConnectionPool,
        AWSHTTPSConnection,
        AWSHTTPSConnectionPool,
    )

    def bounded(connection: Any, pool: type) -> type:
        def connect(self: Any) -> None:
            connection.connect(self)
            self.sock = _BoundedSocket(self.sock)

        made = type(f"Bounded{connection.__name__}", (connection,), {"connect": connect})
        return type(f"Bounded{pool.__name__}", (pool,), {"ConnectionCls": made})

    return {
        "http": bounded(AWSHTTPConnection, AWSHTTPConnectionPool),
        "https": bounded(AWSHTTPSConnection, AWSHTTPSConnectionPool),
    }


class _BoundedSocket:
    """A connected socket whose reads and writes are counted; all else is the socket's own."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._seconds = sock.gettimeout()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def settimeout(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._sock.settimeout(seconds)

    def sendall(self, data: Any) -> None:
        size_bytes = memoryview(data).nbytes
        with self._counted(size_bytes):
            self._sock.sendall(data)

    def recv_into(self, buffer: Any) -> int:
        began = time.monotonic()
        self._sock.settimeout(_shorter(self._seconds))
        count = 0
        try:
            count = self._sock.recv_into(buffer)
        finally:
            _spend(time.monotonic() - began, count)
        return count

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        # The connection's own file keeps the socket open after the connection lets go of it.
        return io.BufferedReader(_BoundedFile(self, self._sock.makefile("rb", buffering=0)))

    @contextmanager
    def _counted(self, size_bytes: int) -> Iterator[None]:
        began = time.monotonic()
        self._sock.settimeout(_shorter(self._seconds))
        sent = 0
        try:
            yield
            sent = size_bytes
        finally:
            _spend(time.monotonic() - began, sent, is_received=False)


class _BoundedFile(io.RawIOBase):
    """What `http.client` reads an answer from."""

    def __init__(self, sock: _BoundedSocket, file: Any) -> None:
        self._bounded = sock
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._bounded.recv_into(buffer)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _require() -> float | None:
    left = [item.require() for item in (_call.get(), _task.get()) if item is not None]
    return min(left) if left else None


def _shorter(seconds: float | None) -> float | None:
    """Return how long the next wait may be: the socket's own time-out, or what is left if that is less."""
    left = _require()
    return seconds if left is None else left if seconds is None else min(left, seconds)


def _spend(seconds: float, size_bytes: int, *, is_received: bool = True) -> None:
    for item in (_call.get(), _task.get()):
        if item is not None:
            item.spend(seconds, size_bytes)
            if is_received:
                item.receive(size_bytes)
