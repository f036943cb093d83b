"""How the client reaches the proxy: HTTP over the Unix socket, or over mutual TLS, by httpcore2 either way.

That is the engine of httpx2, without cookies, redirects, packing and whatever else one route of one server does not
need. One connection a thread, kept open and made anew when it broke; certificates are looked at whenever one is made.
No environment variable and no system's authority has a say. Not what is asked, and not whether to ask again.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpcore2

from ledger_core.errors import ConfigurationError
from ledger_core.signing.tls import TlsContext, TlsFiles

MAX_ADDRESS_BYTES = 100
"""A Unix socket's address holds 104 bytes on macOS and 108 on Linux."""


class Lost(Exception):
    """No answer came. `again` says whether a new connection may find the proxy back at once."""

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer."""

    status: int
    data: bytes
    retry_after: str | None = None


class Channel:
    """The proxy at a socket's path or at an `https://` address. Safe for threads."""

    def __init__(self, address: Path | str, *, tls: TlsFiles | None, timeout_seconds: float) -> None:
        """Raises `ConfigurationError` for another sort of address, and for certificates that cannot be used."""
        self.name = str(address)
        self._local = threading.local()
        self._timeouts = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), timeout_seconds)}
        self._path: Path | None = None
        self._tls: TlsContext | None = None
        if not self.name.startswith("https://"):
            self._path, self._base = Path(address), "http://localhost"
            return
        self._base = _origin_of(self.name)
        if tls is None:
            raise ConfigurationError(
                "the signing proxy is reached by mutual TLS, and no certificate is set.",
                remedy="Set COUNTERFOIL_SIGNING__CA_FILE, ..._CERT_FILE and ..._KEY_FILE.",
            )
        self._tls = TlsContext(tls, server=False)

    def exchange(self, method: str, route: str, body: bytes | None) -> Heard:
        """Send one request on this thread's connection and return the answer. Raises `Lost`."""
        connection: _Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = _Connection(self._pool())
        try:
            answer = connection.pool.request(method, f"{self._base}{route}", content=body, extensions=self._timeouts)
        except (httpcore2.TimeoutException, httpcore2.ConnectError) as error:
            self.close()
            raise Lost(_words(error), again=False) from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            self.close()
            raise Lost(_words(error), again=True) from error
        except BaseException:
            self.close()
            raise
        found = dict(answer.headers)
        wait = next((value for name, value in found.items() if name.lower() == b"retry-after"), None)
        return Heard(answer.status, answer.content, None if wait is None else wait.decode("latin-1"))

    def close(self) -> None:
        """Close this thread's connection."""
        connection: _Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            self._local.connection = None
            connection.pool.close()

    def _pool(self) -> httpcore2.ConnectionPool:
        if self._path is not None:
            # The path is the backend's to look at: some are longer than an address.
            backend = _UnixBackend(self._path)
            return httpcore2.ConnectionPool(max_connections=1, uds=str(self._path), network_backend=backend)
        assert self._tls is not None
        return httpcore2.ConnectionPool(ssl_context=self._tls.current(), max_connections=1)


class _Connection:
    """One thread's connection, which goes with its thread."""

    def __init__(self, pool: httpcore2.ConnectionPool) -> None:
        self.pool = pool

    def __del__(self) -> None:
        # A thread that ends takes its connection with it; pools of threads end theirs when they are idle.
        self.pool.close()


class _UnixBackend(httpcore2.NetworkBackend):
    """Connect to a Unix socket: by a path of any length, and waiting where its queue is full."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.NetworkStream:
        """Return the connection. Raises `ConnectError`, and closes what it opened."""
        del path, socket_options
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            plain.settimeout(timeout)
            self._connect(plain)
        except OSError as error:
            plain.close()
            raise httpcore2.ConnectError(_words(error)) from error
        return _UnixStream(plain)

    def _connect(self, plain: socket.socket) -> None:
        if len(os.fsencode(self._path)) <= MAX_ADDRESS_BYTES:
            _connect(plain, str(self._path))
            return
        # Linux: a folder's descriptor stands for its long path.
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            _connect(plain, f"/proc/self/fd/{folder}/{self._path.name}")
        finally:
            os.close(folder)


class _UnixStream(httpcore2.NetworkStream):
    """The bytes of a Unix socket."""

    def __init__(self, plain: socket.socket) -> None:
        self._plain = plain

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has come, at most `max_bytes`."""
        self._plain.settimeout(timeout)
        try:
            return self._plain.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore2.ReadTimeout(_words(error)) from error
        except OSError as error:
            raise httpcore2.ReadError(_words(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of `buffer`."""
        self._plain.settimeout(timeout)
        try:
            self._plain.sendall(buffer)
        except TimeoutError as error:
            raise httpcore2.WriteTimeout(_words(error)) from error
        except OSError as error:
            raise httpcore2.WriteError(_words(error)) from error

    def close(self) -> None:
        """Close it."""
        self._plain.close()

    def get_extra_info(self, info: str) -> Any:
        """Return whether there is something to be read: of a connection that is idle, its end."""
        if info != "is_readable":
            return None
        self._plain.settimeout(0)
        try:
            return self._plain.recv(1, socket.MSG_PEEK) is not None
        except BlockingIOError:
            return False
        except OSError:
            return True


def _connect(plain: socket.socket, address: str) -> None:
    deadline = time.monotonic() + (plain.gettimeout() or 0.0)
    while True:
        try:
            plain.connect(address)
            return
        except BlockingIOError:
            # More connect at once than the socket's queue holds; a Unix socket does not wait by itself.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _origin_of(address: str) -> str:
    try:
        parts = urlsplit(address)
        if parts.hostname and parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username):
            return f"https://{parts.netloc}" if parts.port is not None else f"https://{parts.hostname}"
    except ValueError:
        pass
    raise ConfigurationError(
        "the address of the signing proxy cannot be read.", remedy="COUNTERFOIL_SIGNING__URL reads https://host:port."
    )
