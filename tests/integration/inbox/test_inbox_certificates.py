"""PayPal's certificates over a real TLS server on the loopback: one request, no redirect, bounded, by its name."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ingest.inbox.providers.paypal.certificates import (
    MAX_CERTIFICATE_BYTES,
    PATH_PREFIX,
    Certificates,
    fetch_certificate,
)
from ledger_core.errors import DeliveryRefused, DependencyError
from tests.unit.inbox.paypal_host import NOW, ROOT, chain, issue, key, pem

pytestmark = pytest.mark.integration


class Server:
    """A TLS server that answers by path, and remembers what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        host = issue("localhost", subject_key=key(5), by=ROOT, days=36_500)
        self.authorities = folder / "authorities.pem"
        self.authorities.write_bytes(pem(issue(ROOT[0], subject_key=ROOT[1], ca=True, days=36_500)))
        (folder / "host.pem").write_bytes(
            key(5).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + pem(host)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "host.pem")
        self._server = HTTPServer(("127.0.0.1", 0), self._handler())
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.host = f"localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                status, headers, content = outer.answers[self.path.removeprefix(PATH_PREFIX)]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    def certificates(self, *, trusted: bool = True) -> Certificates:
        context = ssl.create_default_context(cafile=str(self.authorities) if trusted else None)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return Certificates(hosts=frozenset({self.host}), get=partial(fetch_certificate, context=context))

    def ask(self, name: str, **more: Any) -> Any:
        url = f"https://{self.host}{PATH_PREFIX}{name}"
        return self.certificates(**more).key_of(url, at=NOW, authorities=self.authorities)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.close()


def test_what_lies_there_is_fetched_by_one_request(server: Server) -> None:
    server.answers["a"] = (200, {}, chain())
    assert server.ask("a").public_numbers() == key(3).public_key().public_numbers()
    assert server.asked == [f"{PATH_PREFIX}a"]


def test_a_redirect_is_not_followed(server: Server) -> None:
    server.answers["a"] = (302, {"location": f"https://{server.host}{PATH_PREFIX}b"}, b"")
    server.answers["b"] = (200, {}, chain())
    with pytest.raises(DeliveryRefused, match="status 302"):
        server.ask("a")
    assert server.asked == [f"{PATH_PREFIX}a"]


@pytest.mark.parametrize("answer", [(404, b""), (200, b"x" * (MAX_CERTIFICATE_BYTES + 1))])
def test_what_is_no_certificate_is_a_forgery(server: Server, answer: tuple[int, bytes]) -> None:
    server.answers["a"] = (answer[0], {}, answer[1])
    with pytest.raises(DeliveryRefused, match="no certificate lies"):
        server.ask("a")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_host_that_is_ill_is_asked_again(server: Server, status: int) -> None:
    server.answers["a"] = (status, {}, b"")
    with pytest.raises(DependencyError, match=f"status {status}"):
        server.ask("a")


def test_a_host_for_which_nobody_vouches_is_asked_nothing(server: Server) -> None:
    server.answers["a"] = (200, {}, chain())
    with pytest.raises(DependencyError, match="could not be fetched"):
        server.ask("a", trusted=False)
    assert server.asked == []
