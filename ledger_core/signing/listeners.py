"""Where the proxy listens: the Unix socket of development, and mutual TLS on a port. Both lead to one service.

A connection has one client from its first byte to its last, told by the socket's owner or by a certificate that was
verified, and it ends when that certificate does. Handshakes are made on the connection's own thread and under a
deadline: whoever does not finish one keeps nobody waiting.
"""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ledger_core.errors import ConfigurationError
from ledger_core.signing import server as transport
from ledger_core.signing.clients import SOCKET
from ledger_core.signing.gate import Gate
from ledger_core.signing.server import BoundedServer, TimedHandler, UnixServer
from ledger_core.signing.tls import TlsContext, ends_at, identity_of


class GatedHandler(TimedHandler):
    """A handler that knows who asks."""

    server: SocketListener | TlsListener
    identity: str | None = None
    ends_at = float("inf")

    def setup(self) -> None:
        """Learn who it is, then open the two ends."""
        self.identity, self.ends_at = self.server.greet(self.request)
        super().setup()

    def handle_one_request(self) -> None:
        """Serve one request; one that comes when the certificate has ended is sent again on a new connection."""
        super().handle_one_request()
        if time.time() >= self.ends_at:
            self.close_connection = True

    def parse_request(self) -> bool:
        """Read the head, if the client is still who it was."""
        if time.time() >= self.ends_at:
            self.close_connection = True
            return False
        return super().parse_request()


class SocketListener(UnixServer):
    """The Unix socket: whoever can open it is its owner."""

    def __init__(self, socket_path: Path, gate: Gate, handler: type[GatedHandler]) -> None:
        self.gate = gate
        super().__init__(socket_path, handler)

    def greet(self, _connection: socket.socket) -> tuple[str, float]:
        """Return the client and when it ceases to be one."""
        return SOCKET, float("inf")


class TlsListener(BoundedServer):
    """TLS 1.3 on a port, with a certificate from both ends."""

    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], gate: Gate, context: TlsContext, handler: type[GatedHandler]) -> None:
        self.gate, self._context = gate, context
        host, port = address
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), handler)
        except OSError as error:
            raise ConfigurationError(
                f"the signing proxy cannot listen on {host}:{port}: {error}.", remedy="Name an address of this host."
            ) from error

    def get_request(self) -> tuple[Any, Any]:
        """Take a connection; not a byte of it is awaited here."""
        plain, address = self.socket.accept()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            wrapped = self._context.current().wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        except (OSError, ValueError) as error:
            plain.close()
            # What the server's loop takes for a connection that came to nothing; any other error would end it.
            raise OSError(f"no TLS on this connection: {error}") from error
        return wrapped, address

    def greet(self, connection: ssl.SSLSocket) -> tuple[str | None, float]:
        """Return the client and when its certificate ends. Raises `OSError` where the two do not agree on TLS."""
        connection.settimeout(transport.REQUEST_SECONDS)
        try:
            # The deadline is of all of it, not of each part.
            connection.do_handshake()
        except OSError as error:
            is_certificate = isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE" in str(error)
            self.gate.measures.turned_away("certificate" if is_certificate else "other")
            if isinstance(error, ssl.SSLError):
                _let_it_read(connection)
            raise
        certificate = connection.getpeercert() or {}
        name = identity_of(certificate)
        # The socket's owner has no certificate, whoever signs one of that name.
        return (None if name == SOCKET else name), ends_at(certificate)


def _let_it_read(connection: ssl.SSLSocket) -> None:
    """Take off the other end's hands what it still sends, or a reset would take the alert back that says why."""
    plain = socket.socket
    with suppress(OSError):
        plain.shutdown(connection, socket.SHUT_WR)
        plain.settimeout(connection, transport.LINGER_SECONDS)
        deadline = time.monotonic() + transport.LINGER_SECONDS
        while time.monotonic() < deadline and plain.recv(connection, 64 * 1024):
            pass


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of `host:port`. Raises `ConfigurationError`."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or len(port) > 5 or int(port) > 65535:
        raise ConfigurationError(
            f"{text!r:.100} is no address to listen on.", remedy="It reads host:port, such as 0.0.0.0:8443."
        )
    return host.strip("[]"), int(port)
