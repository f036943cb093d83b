"""The proxy's transport: HTTP/1.1 on a socket, bounds on connections and memory, a deadline for each request.

Not the routes (`signing.proxy`). Invariant: no client can keep another one waiting. One that hangs holds a thread and
a socket, and loses both when its request does not arrive in time, or when others need the place. All clients together
hold no more memory than `MAX_CONNECTIONS` heads and free shares of a body, and one budget (`signing.bodies`).
"""

from __future__ import annotations

import contextlib
import io
import os
import socket
import socketserver
import sys
import threading
import time
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from ledger_core.errors import DependencyError
from ledger_core.signing.bodies import BodyBudget, Share

MAX_CONNECTIONS = 256
"""Every thread of a process that posts or proves keeps one open. The one that was silent longest makes room."""
IDLE_SECONDS = 600.0
REQUEST_SECONDS = 10.0
"""From a request's first byte to its last, and for the taking of an answer. A body has at most 32 MB and no network."""

MAX_HEAD_BYTES = 128 * 1024
"""Of a request's first line and headers: the library bounds each of a hundred lines, and so allows 6 MB."""

LINGER_SECONDS = 1.0
"""For how long what a refused client still sends is taken off its hands."""


class BoundedServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A thread a connection, and a bound on connections; `signing.listeners` has one for TLS, this file the other."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, address: Any, handler: type[TimedHandler]) -> None:
        self.bodies = BodyBudget()
        self._waiting: dict[socket.socket, float] = {}
        """Connections on whose next byte somebody waits, and since when. Oldest first: a dict keeps the order."""
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Make room if need be, and serve the connection in a thread of its own."""
        with self._guard:
            self._open.add(request)
            self._waiting[request] = time.monotonic()
            if len(self._open) > MAX_CONNECTIONS:
                longest = next(iter(self._waiting))
                del self._waiting[longest]
                with contextlib.suppress(OSError):
                    # The plain socket's: TLS would be put aside by its own, and what came unprotected read as it came.
                    socket.socket.shutdown(longest, socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End the connection."""
        with self._guard:
            self._open.discard(request)
            self._waiting.pop(request, None)
        super().shutdown_request(request)

    def waits(self, connection: socket.socket) -> None:
        """Note that `connection` has to say something next."""
        with self._guard:
            self._waiting.pop(connection, None)
            if connection in self._open:
                self._waiting[connection] = time.monotonic()

    def works(self, connection: socket.socket) -> None:
        """Note that `connection` waits for us."""
        with self._guard:
            self._waiting.pop(connection, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in one line that a connection broke; anything else is a fault of ours and shown whole."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            say(f"a connection ended: {type(error).__name__}: {error}")
        else:
            super().handle_error(request, client_address)


class UnixServer(BoundedServer):
    """On a socket that only its owner may open."""

    address_family = socket.AF_UNIX

    def __init__(self, socket_path: Path, handler: type[TimedHandler]) -> None:
        socket_path.unlink(missing_ok=True)
        # A socket's path has about 100 bytes; from inside its folder the name alone will do.
        os.chdir(socket_path.parent)
        before = os.umask(0o177)
        try:
            super().__init__(socket_path.name, handler)
        finally:
            os.umask(before)


class TimedHandler(BaseHTTPRequestHandler):
    """Read requests under a deadline."""

    protocol_version = "HTTP/1.1"
    server_version = "counterfoil-signer"
    sys_version = ""
    server: BoundedServer

    def setup(self) -> None:
        """Open the connection's two ends."""
        self.connection = self.request
        self._reader = _DeadlineReader(self.connection)
        self.rfile = self._input = io.BufferedReader(self._reader)
        self.wfile = io.BufferedWriter(_DeadlineWriter(self.connection), 64 * 1024)
        self._share = Share(self.server.bodies)

    def handle_one_request(self) -> None:
        """Wait for a request as long as an idle client may be silent, and then for the whole of it."""
        self._reader.deadline = None
        self.server.waits(self.connection)
        if self._input.peek(1):
            # It is no longer the one that was silent longest.
            self.server.waits(self.connection)
            self._reader.deadline = time.monotonic() + REQUEST_SECONDS
            self._reader.head_bytes = 0
            try:
                super().handle_one_request()
            finally:
                self._share.give_back()
            return
        self.close_connection = True

    def parse_request(self) -> bool:
        """Read the head; what comes after it is a body, or another request."""
        is_read = super().parse_request()
        self._reader.head_bytes = None
        return is_read

    def read_body(self, length: int) -> bytes:
        """Return the request's body, shorter where the client ends early. Raises `DependencyError`, `TimeoutError`."""
        try:
            return self._share.read(self.rfile.read, length)
        except DependencyError:
            self.close_connection = True  # the rest of it is not read, and no other request can follow
            raise

    def finish(self) -> None:
        """Close; what a refused client still sends is thrown away first, or it would be reset before it reads why."""
        super().finish()
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + LINGER_SECONDS
            self.connection.settimeout(LINGER_SECONDS)
            while time.monotonic() < deadline and self.connection.recv(64 * 1024):
                pass

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet about requests; refusals are written where they are decided."""

    def address_string(self) -> str:
        """Return a name for the peer, which the log of calls has."""
        return "-"


def say(line: str) -> None:
    """Write to the log, which may be full: that is no reason to leave a client without its answer."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{line}\n")


class _DeadlineReader(io.RawIOBase):
    """Bytes of a socket: each read waits for what is left until the deadline, not for as long again."""

    def __init__(self, connection: socket.socket) -> None:
        self.deadline: float | None = None
        self.head_bytes: int | None = None
        """How much of a head has come; None where none is awaited."""
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = IDLE_SECONDS if self.deadline is None else self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request did not arrive in time")
        self._connection.settimeout(left)
        count = self._connection.recv_into(buffer)
        if self.head_bytes is not None:
            self.head_bytes += count
            if self.head_bytes > MAX_HEAD_BYTES:
                raise HTTPException(f"the head of a request has at most {MAX_HEAD_BYTES} bytes")
        return count


class _DeadlineWriter(io.RawIOBase):
    """Bytes to a socket, which must be taken in time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._connection.settimeout(REQUEST_SECONDS)
        self._connection.sendall(data)
        return len(data)
