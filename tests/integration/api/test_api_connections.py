"""Which connection goes and which stays, over real sockets and under an application that does nothing but wait."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import ExitStack, suppress

import pytest
import uvicorn

from api.http import connections
from api.http.connections import Connection
from api.server import Server
from ledger_core.base.processes import free_port

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
WAIT = b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n"
HALF = b"GET / HTTP/1.1\r\nhost: x\r\n"
BODY = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"


class Bounded(Connection):
    max_connections = 1_000
    max_per_peer = 1_000
    head_seconds = 60.0
    body_seconds = 60.0


class Waiter:
    """An application: `/wait` answers when it is let, `/much` with more than a socket holds, all else at once."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.waiting = 0

    async def __call__(self, scope, receive, send) -> None:
        self.loop = asyncio.get_running_loop()
        while (await receive()).get("more_body"):
            pass
        if scope["path"] == "/wait":
            self.waiting += 1
            await self.let.wait()
        body = b"x" * (64 * 1024 * 1024 if scope["path"] == "/much" else 2)
        head = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})


class Hall:
    """The server, and the connections that a test opened."""

    def __init__(self, port: int, app: Waiter, server: Server, stack: ExitStack) -> None:
        self.port, self.app, self.server, self._stack = port, app, server, stack

    def connect(self, first: bytes = b"") -> socket.socket:
        made = self._stack.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=20))
        made.sendall(first)
        return made

    def working(self, count: int) -> list[socket.socket]:
        """Return `count` connections, each with a whole request that is not answered."""
        found = [self.connect(WAIT) for _ in range(count)]
        deadline = time.monotonic() + 20
        while self.app.waiting < count:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return found

    def let(self) -> None:
        assert self.app.loop is not None
        self.app.loop.call_soon_threadsafe(self.app.let.set)


@pytest.fixture
def hall():
    port, app = free_port(), Waiter()
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, http=Bounded, ws="none", lifespan="off", log_level="error"
    )
    server = Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with ExitStack() as stack:
        yield Hall(port, app, server, stack)
    server.should_exit = server.force_exit = True
    thread.join(30)


def answered(connection: socket.socket) -> bool:
    """Read one answer to its end; say whether it is the application's."""
    received = b""
    while not received.endswith(b"\r\n\r\nxx"):
        chunk = connection.recv(4096)
        if not chunk:
            return False
        received += chunk
    return received.startswith(b"HTTP/1.1 200")


def status(connection: socket.socket) -> bytes:
    return connection.recv(12)


def is_open(connection: socket.socket, seconds: float = 0.3) -> bool:
    connection.settimeout(seconds)
    with suppress(TimeoutError):
        return connection.recv(1) != b""
    return True


@pytest.mark.parametrize("bound", ["max_connections", "max_per_peer"])
def test_where_every_connection_is_at_work_the_newest_is_turned_away_and_the_rest_are_answered(
    hall, monkeypatch, bound
) -> None:
    monkeypatch.setattr(Bounded, bound, 3)
    working = hall.working(3)
    refused = hall.connect()
    assert status(refused) == b"HTTP/1.1 503"
    hall.let()
    assert [status(each) for each in working] == [b"HTTP/1.1 200"] * 3


@pytest.mark.parametrize("bound", ["max_connections", "max_per_peer"])
def test_whoever_owes_for_longest_makes_room_before_one_that_is_idle(hall, monkeypatch, bound) -> None:
    idle = hall.connect(GET)
    assert answered(idle)
    older, newer = hall.connect(HALF), None
    time.sleep(0.05)
    newer = hall.connect(HALF)
    time.sleep(0.05)
    monkeypatch.setattr(Bounded, bound, 3)
    new = hall.connect(GET)
    assert status(new) == b"HTTP/1.1 200"
    assert status(older) == b"HTTP/1.1 503"
    assert is_open(newer)
    idle.sendall(GET)
    assert answered(idle)


def test_an_idle_one_makes_room_where_nobody_owes_anything(hall, monkeypatch) -> None:
    idle = hall.connect(GET)
    assert answered(idle)
    hall.working(2)
    monkeypatch.setattr(Bounded, "max_connections", 3)
    new = hall.connect(GET)
    assert status(new) == b"HTTP/1.1 200"
    assert status(idle) == b"HTTP/1.1 503"


def test_connections_that_ended_count_for_nothing(hall, monkeypatch) -> None:
    monkeypatch.setattr(Bounded, "max_per_peer", 4)
    for _ in range(12):
        with socket.create_connection(("127.0.0.1", hall.port), timeout=20) as connection:
            connection.sendall(GET)
            assert status(connection) == b"HTTP/1.1 200"
    held = [hall.connect(HALF) for _ in range(3)]
    time.sleep(0.2)
    assert all(is_open(each) for each in held)


def test_a_body_that_goes_on_gains_time_and_one_that_stops_is_ended(hall, monkeypatch) -> None:
    monkeypatch.setattr(Bounded, "body_seconds", 1.0)
    silent, talking = hall.connect(BODY), hall.connect(BODY + b"x" * 640_000)
    assert status(silent) == b"HTTP/1.1 408"
    assert is_open(talking, 2.0), "640 kB are worth nineteen seconds"


def test_who_does_not_read_the_answer_loses_the_connection(hall, monkeypatch) -> None:
    monkeypatch.setattr(connections, "UNREAD_ANSWER_SECONDS", 0.5)
    deaf = hall.connect(GET.replace(b"/ ", b"/much "))
    deaf.recv(1)
    deadline = time.monotonic() + 60
    while hall.server.server_state.connections:
        assert time.monotonic() < deadline, "it is kept"
        time.sleep(0.05)
    received = 0
    with suppress(ConnectionResetError):
        while chunk := deaf.recv(1024 * 1024):
            received += len(chunk)
    assert received < 64 * 1024 * 1024


def test_who_reads_slowly_gets_the_whole_answer(hall, monkeypatch) -> None:
    monkeypatch.setattr(connections, "UNREAD_ANSWER_SECONDS", 5.0)
    slow = hall.connect(GET.replace(b"/ ", b"/much "))
    received, began = 0, time.monotonic()
    while received < 64 * 1024 * 1024:
        chunk = slow.recv(1024 * 1024)
        assert chunk, f"closed after {received} bytes and {time.monotonic() - began:.1f} s"
        received += len(chunk)
        if received < 8 * 1024 * 1024:
            time.sleep(0.1)


def test_a_request_that_is_worked_on_is_not_called_slow(hall, monkeypatch) -> None:
    monkeypatch.setattr(Bounded, "head_seconds", 0.3)
    monkeypatch.setattr(Bounded, "body_seconds", 0.3)
    (working,) = hall.working(1)
    assert is_open(working, 2.5)
    hall.let()
    working.settimeout(20)
    assert status(working) == b"HTTP/1.1 200"
