"""A server of nothing but connections: uvicorn on loopback, under an application that does what a test asks of it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from api.http.connections import Connection, _Hall, _halls
from api.server import Server
from ledger_core.base.processes import free_port

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
WAIT = b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n"
HALF = b"GET / HTTP/1.1\r\nhost: x\r\n"
TWICE = b"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n"
"""A head that can be read in two ways."""
BODY_BYTES = 1_000_000
BODY = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % BODY_BYTES
SIZES = {"/much": 64 * 1024 * 1024, "/some": 60_000}
"""What the answers to these have: more than any socket holds, and less than pauses writing."""


class Bounded(Connection):
    max_connections = 1_000
    max_per_peer = 1_000
    head_seconds = 60.0
    body_seconds = 60.0


class Waiter:
    """An application: `/wait` answers when it is let, all else at once, with as much as `SIZES` says.

    `/early` begins its answer before it reads the body, `/late` reads it when it is let. `ends` are the messages that
    ended what it read.
    """

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.waiting = 0
        self.ends: list[str] = []

    async def __call__(self, scope, receive, send) -> None:
        self.loop = asyncio.get_running_loop()
        body = b"x" * SIZES.get(scope["path"], 2)
        head = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", b"%d" % len(body))],
        }
        if scope["path"] == "/early":
            await send(head)
        if scope["path"] == "/late":
            self.waiting += 1
            await self.let.wait()
        while (message := await receive()).get("more_body"):
            pass
        self.ends.append(message["type"])
        if scope["path"] == "/wait":
            self.waiting += 1
            await self.let.wait()
        if scope["path"] != "/early":
            await send(head)
        await send({"type": "http.response.body", "body": body})


class Hall:
    """The server, and the connections that a test opened."""

    def __init__(self, address: int | Path, app: Waiter, server: Server, stack: ExitStack) -> None:
        self.address, self.app, self.server, self._stack = address, app, server, stack

    def connect(self, first: bytes = b"", *, source: str = "127.0.0.1", holds: int | None = None) -> socket.socket:
        """Connect and send `first`; `holds` is how many bytes of an answer the kernel keeps for who does not read."""
        is_local = isinstance(self.address, Path)
        made = self._stack.enter_context(socket.socket(socket.AF_UNIX if is_local else socket.AF_INET))
        made.settimeout(20)
        if holds is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, holds)
        if is_local:
            made.connect(str(self.address))
        else:
            made.bind((source, 0))
            made.connect(("127.0.0.1", self.address))
        made.sendall(first)
        return made

    def working(self, count: int, first: bytes = WAIT, **options: Any) -> list[socket.socket]:
        """Return `count` connections, each with a whole request that is not answered."""
        wanted = self.app.waiting + count
        found = [self.connect(first, **options) for _ in range(count)]
        until(lambda: self.app.waiting >= wanted)
        return found

    def deaf(self) -> Any:
        """Return the server's side of a connection whose client never reads the end of its answer."""
        before = self.connections
        client = self.connect(holds=4096)
        until(lambda: self.connections - before)
        (served,) = self.connections - before
        served.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client.sendall(GET.replace(b"/ ", b"/some "))
        time.sleep(0.5)
        assert served.transport.get_write_buffer_size()
        return served

    def let(self) -> None:
        self.call(self.app.let.set)

    def call(self, what: Callable[..., object], *arguments: object) -> None:
        """Do something on the server's own loop."""
        assert self.app.loop is not None
        self.app.loop.call_soon_threadsafe(what, *arguments)

    @property
    def connections(self) -> set[Any]:
        return set(self.server.server_state.connections)

    @property
    def known(self) -> _Hall:
        """What the connections know of each other."""
        return _halls[self.server.server_state]


@contextmanager
def opened(folder: Path | None = None) -> Iterator[Hall]:
    """Serve on a port, or on a socket in `folder`."""
    app = Waiter()
    address: int | Path = free_port() if folder is None else folder / "s"
    where = {"host": "127.0.0.1", "port": address} if folder is None else {"uds": str(address)}
    config = uvicorn.Config(
        app, http=Bounded, ws="none", lifespan="off", log_level="error", timeout_keep_alive=60, **where
    )
    server = Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    with ExitStack() as stack:
        yield Hall(address, app, server, stack)
    server.should_exit = server.force_exit = True
    thread.join(30)


def until(holds: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it does not come to hold"
        time.sleep(0.01)


def answered(connection: socket.socket, count: int = 1) -> bool:
    """Read `count` answers to their end; say whether they are the application's."""
    received = b""
    while received.count(b"\r\n\r\nxx") < count:
        chunk = connection.recv(4096)
        if not chunk:
            return False
        received += chunk
    return received.startswith(b"HTTP/1.1 200") and received.count(b"HTTP/1.1 ") == count


def status(connection: socket.socket) -> bytes:
    return connection.recv(12)


def whole(connection: socket.socket) -> bytes:
    """Return all that comes before the server says that no more does."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def is_open(connection: socket.socket, seconds: float = 0.3) -> bool:
    """Say whether nothing comes, neither an answer nor an end."""
    connection.settimeout(seconds)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(20)
    return False
