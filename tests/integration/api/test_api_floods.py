"""Clients that begin and do not go on, that drip, that ask too much at once: everybody else is served meanwhile."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import httpx2
import pytest
import uvicorn

from api.app import create_app
from api.http.budget import FREE_BYTES
from api.http.connections import Connection
from api.http.heads import MAX_HEAD_BYTES
from api.server import Server, health_config
from ledger_core.base.processes import free_port

HALF_HEAD = b"POST /finance/journal-entries HTTP/1.1\r\nhost: x\r\n"


class Small(Connection):
    max_connections = 40
    max_per_peer = 40
    head_seconds = 1.5
    body_seconds = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    port: int
    health_port: int
    app: object
    token: str

    def connect(self, first: bytes = b"") -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=15)
        made.sendall(first)
        return made

    def get(self, path: str, *, health: bool = False) -> httpx2.Response:
        port = self.health_port if health else self.port
        return httpx2.get(f"http://127.0.0.1:{port}{path}", timeout=10, trust_env=False)

    def half_body(self, length: int) -> bytes:
        head = f"authorization: Bearer {self.token}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n"
        return HALF_HEAD + head.encode() + b"idempotency-key: k1\r\n\r\n"


@pytest.fixture
def served(api) -> Iterator[Served]:
    port, health_port = free_port(), free_port()
    app = create_app(api.settings, runtime=api.runtime)
    config = uvicorn.Config(app, host="127.0.0.1", port=port, http=Small, ws="none", log_level="warning")
    server = Server(config, health=health_config(app, "127.0.0.1", health_port))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield Served(port=port, health_port=health_port, app=app, token=api.token())
    server.should_exit = server.force_exit = True
    thread.join(30)


def answer_of(connection: socket.socket) -> bytes:
    with connection:
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


@pytest.mark.parametrize("first", [b"", HALF_HEAD, b"GET /livez HTTP/1.1\r\n"], ids=["silent", "half a head", "a line"])
def test_a_head_that_does_not_come_is_told_so_and_closed(served: Served, first: bytes) -> None:
    began = time.monotonic()
    answer = answer_of(served.connect(first))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer
    assert time.monotonic() - began < 12, "the client itself would wait 15 s"


def test_a_body_that_does_not_come_is_told_so_and_closed(served: Served) -> None:
    connection = served.connect(served.half_body(1000) + b'{"entries')
    assert answer_of(connection).startswith(b"HTTP/1.1 408 ")


def test_a_head_that_drips_is_ended_all_the_same(served: Served) -> None:
    connection = served.connect(HALF_HEAD)
    began = time.monotonic()
    with connection, suppress(OSError):  # reset or broken pipe, as the kernel likes
        while time.monotonic() - began < 40:
            connection.sendall(b"x-drip: 1\r\n")
            time.sleep(0.2)
    assert time.monotonic() - began < 30


def test_a_head_of_any_length_is_refused(served: Served) -> None:
    connection = served.connect(HALF_HEAD)
    sent = 0
    with connection, suppress(OSError):
        while sent < 200 * MAX_HEAD_BYTES:
            sent += connection.send(b"x-long: " + b"y" * 8192 + b"\r\n")
    assert sent < 200 * MAX_HEAD_BYTES


def test_what_is_no_http_gets_a_problem(served: Served) -> None:
    answer = answer_of(served.connect(b"\x16\x03\x01 hello\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"malformed_request" in answer


@pytest.mark.parametrize("half", ["silent", "head", "body"])
def test_a_flood_of_begun_requests_leaves_everybody_else_served(served: Served, half: str, entry, key) -> None:
    first = {"silent": b"", "head": HALF_HEAD, "body": served.half_body(10_000) + b"{"}[half]
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(served.connect(first))
        for path in ("/livez", "/readyz"):
            assert served.get(path).status_code == 200
            assert served.get(path, health=True).status_code == 200
        headers = {"authorization": f"Bearer {served.token}", **key()}
        url = f"http://127.0.0.1:{served.port}/finance/journal-entries"
        assert httpx2.post(url, json=entry(), headers=headers, timeout=30, trust_env=False).status_code == 201


def test_health_has_a_listener_of_its_own_that_serves_nothing_else(served: Served) -> None:
    with ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(served.connect(HALF_HEAD))
        assert served.get("/livez", health=True).status_code == 200
        assert served.get("/metrics", health=True).status_code == 200
    for path in ("/docs", "/openapi.json", "/finance/journal-entries", "/livez/../docs"):
        assert served.get(path, health=True).status_code == 404


def test_a_connection_that_keeps_sending_requests_is_left_alone(served: Served) -> None:
    with httpx2.Client(base_url=f"http://127.0.0.1:{served.port}", trust_env=False) as client:
        for _ in range(5):
            assert client.get("/livez").status_code == 200
            time.sleep(0.9)  # longer in all than a head may take


def test_unfinished_bodies_share_one_budget_and_small_ones_are_always_taken(served: Served, entry, key) -> None:
    budget = served.app.state.api.bodies
    budget.max_bytes = 4 * FREE_BYTES
    url = f"http://127.0.0.1:{served.port}/finance/journal-entries"
    part = b'{"description":"' + b"x" * (2 * FREE_BYTES)
    with ExitStack() as stack:
        held = [stack.enter_context(served.connect(served.half_body(900_000) + part)) for _ in range(10)]
        refused = 0
        deadline = time.monotonic() + 60
        while refused < 4 and time.monotonic() < deadline:
            for connection in held:
                connection.settimeout(0.1)
                try:
                    refused += connection.recv(12) == b"HTTP/1.1 503"
                except TimeoutError:
                    continue
        assert refused >= 4
        assert budget.held_bytes <= budget.max_bytes
        headers = {"authorization": f"Bearer {served.token}", **key()}
        assert httpx2.post(url, json=entry(), headers=headers, timeout=30, trust_env=False).status_code == 201
    deadline = time.monotonic() + 10
    while budget.held_bytes and time.monotonic() < deadline:
        time.sleep(0.05)
    assert budget.held_bytes == 0
