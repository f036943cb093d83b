"""Clients that hang, trickle, flood or talk nonsense: each is answered by name or let go, and nobody else waits."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest

from ledger_core.errors import DependencyError
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing import server as transport
from ledger_core.signing.client import SigningClient
from ledger_core.signing.listeners import SocketListener
from ledger_core.signing.opening import open_gate
from ledger_core.signing.proxy import Handler
from ledger_core.signing.witness import format_request

ORIGIN = "ledger.example/test/main"
LEAVES = [leaf_hash(b"%d" % number) for number in range(8)]
ROOT = Frontier().extend(LEAVES).root()

pytestmark = pytest.mark.integration


class Process:
    """The proxy as a process, and its log."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "s"
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = self._start(folder, log)
        self.client = SigningClient(self.path)
        deadline = time.monotonic() + 30
        while True:
            try:
                self.client.health()
                return
            except DependencyError:
                assert self.process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def _start(self, folder: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                sys.executable, "-m", "ledger_core.signing.proxy", "--socket", str(self.path),
                "--state", str(folder / "signer"), "--trust", str(folder / "trust.json"),
                "--origin-prefix", "ledger.example/test/",
            ],
            stderr=log, env={**os.environ, "COUNTERFOIL_ENV": "test"},
        )  # fmt: skip


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    made = Process(tmp_path_factory.mktemp("proxy"))
    yield made
    made.client.close()
    made.process.terminate()
    made.process.wait(30)


def connect(path: Path, stack: ExitStack) -> socket.socket:
    found = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    found.connect(str(path))
    found.settimeout(20)
    return found


def ask(path: Path, data: bytes) -> tuple[int, bytes]:
    with ExitStack() as stack:
        plain = connect(path, stack)
        plain.sendall(data)
        response = http.client.HTTPResponse(plain)
        response.begin()
        return response.status, response.read()


def post(route: str, body: bytes) -> bytes:
    return b"POST %b HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (route.encode(), len(body), body)


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (post("/v1/dsse", DEEP), 400),
        (post("/v1/dsse", b'{"a":' * 100_000), 400),
        (post("/v1/dsse", b'{"payload_type":1,"payload":2}'), 400),
        (post("/v1/dsse", b'{"payload_type":"x","payload":"\xc3\xa9"}'), 400),
        (post("/v1/dsse", b'{"payload_type":"x","payload":"AAAA"}'), 403),
        (post("/v1/dsse", b'{"payload_type":"x","payload":"AAAA","checkpoint":{}}'), 400),
        (post("/v1/dsse", b'{"payload_type":"x","payload_type":"x","payload":"AAAA"}'), 400),
        (post("/v1/dsse", json.dumps({"payload_type": "\ud800", "payload": "AAAA"}).encode()), 403),
        (post("/v1/dsse", b"9" * 5000), 400),
        (post("/v1/dsse", b""), 400),
        (post("/v1/checkpoint", DEEP), 400),
        (post("/v1/checkpoint", b"x" * 600_000), 400),
        (post("/v1/checkpoint", b"old " + b"9" * 100_000), 400),
        (post("/v1/checkpoint", b"old 0\nleaves " + b"A" * 500_000 + b"\n\nx\n"), 400),
        (post("/v1/checkpoint", b"\x00" * 100), 400),
        (b"POST /v1/checkpoint HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (b"POST /v1/checkpoint HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1_0\r\n\r\nx", 400),
        (b"POST /v1/checkpoint HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nContent-Length: 20\r\n\r\nGET /v1/keys HTTP/1.1", 400),
        (b"GET /v1/keys HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /v1/checkpoint?origin=%ED%A0%80 HTTP/1.1\r\n\r\n", 403),
        (b"GET /v1/checkpoint?origin=bank.example/prod/main HTTP/1.1\r\n\r\n", 403),
        (b"GET /v1/checkpoint?origin=ledger.example/test/unknown HTTP/1.1\r\n\r\n", 404),
        (b"GET /v1/checkpoint?" + b"origin=x&" * 7000 + b" HTTP/1.1\r\n\r\n", 403),
        (b"GET http://[ HTTP/1.1\r\n\r\n", 404),
        (b"GET /v1/keys HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431),
        (b"GET /v1/keys HTTP/1.1\r\na: " + b"b" * 70_000 + b"\r\n\r\n", 431),
        (b"\x16\x03\x01" + b"\x00" * 70_000 + b"\r\n", 414),
        (b"BREW /v1/keys HTTP/1.1\r\n\r\n", 501),
        (post("/v1/keys", b"{}"), 404),
    ],
)  # fmt: skip
def test_nonsense_gets_a_status_and_no_traceback(process: Process, data: bytes, status: int) -> None:
    assert ask(process.path, data)[0] == status
    assert process.client.health()["status"] == "ok"
    assert b"Traceback" not in process.log.read_bytes()


def test_a_body_that_ends_early_is_refused_by_name(process: Process) -> None:
    with ExitStack() as stack:
        plain = connect(process.path, stack)
        plain.sendall(b"POST /v1/checkpoint HTTP/1.1\r\nContent-Length: 100\r\n\r\nold")
        plain.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(plain)
        response.begin()
        assert response.status == 400
        assert "the body ends after 3 of 100" in json.loads(response.read())["detail"]


def test_clients_that_go_away_leave_no_traceback(process: Process) -> None:
    for data in (b"", b"GET", b"GET /v1/keys HTTP/1.1\r\n\r\n", post("/v1/dsse", DEEP)):
        with ExitStack() as stack:
            plain = connect(process.path, stack)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            plain.sendall(data)
    assert process.client.health()["status"] == "ok"
    assert b"Traceback" not in process.log.read_bytes()


def test_hundreds_of_hung_clients_keep_nobody_waiting(process: Process) -> None:
    halves = (
        b"", b"POST /v1/checkpoint HTTP/1.1\r\nContent-Length: 500000\r\n\r\nold 0", b"GET /v1/ke",
        b"POST /v1/dsse HTTP/1.1\r\nContent-Length: 33000000\r\n\r\n{",
    )  # fmt: skip
    with ExitStack() as stack:
        for number in range(2 * transport.MAX_CONNECTIONS):
            plain = connect(process.path, stack)
            plain.sendall(halves[number % len(halves)])
            if number % 64 == 0:
                started = time.monotonic()
                assert process.client.health()["status"] == "ok"
                assert time.monotonic() - started < transport.REQUEST_SECONDS / 2
        fresh = SigningClient(process.path)
        started = time.monotonic()
        note = fresh.sign_checkpoint(origin=ORIGIN, old=Frontier(), leaves=LEAVES, root=ROOT)
        assert parse_checkpoint(parse_note(note).text).size == len(LEAVES)
        assert time.monotonic() - started < transport.REQUEST_SECONDS / 2
        fresh.close()
    assert threads_of(process.process.pid) <= transport.MAX_CONNECTIONS + 30


def threads_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    return int(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("Threads:")))


@pytest.fixture
def impatient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A proxy in this process that waits a second for a request and serves six clients."""
    monkeypatch.setattr(transport, "REQUEST_SECONDS", 1.0)
    monkeypatch.setattr(transport, "MAX_CONNECTIONS", 6)
    monkeypatch.chdir(tmp_path)
    gate = open_gate(
        tmp_path / "signer",
        trust_path=tmp_path / "trust.json",
        origin_prefix="ledger.example/test/",
        settings=SignerSettings(env="test"),
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )
    with SocketListener(tmp_path / "s", gate, Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield tmp_path / "s"
        server.shutdown()
        thread.join()
    gate.close()


def test_a_request_that_trickles_in_is_let_go_at_its_deadline(impatient: Path) -> None:
    body = format_request(ORIGIN, Frontier(), LEAVES, ROOT)
    head = b"POST /v1/checkpoint HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    with ExitStack() as stack:
        plain = connect(impatient, stack)
        started = time.monotonic()
        plain.sendall(head)
        answer = b""
        for place in range(len(body)):
            try:
                plain.sendall(body[place : place + 1])
                plain.settimeout(0.1)
                answer = plain.recv(65536)
                break
            except TimeoutError:
                continue
            except OSError:
                break
        assert 0.8 < time.monotonic() - started < 15
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"did not arrive" in answer


def test_a_header_that_trickles_in_is_let_go_at_its_deadline(impatient: Path) -> None:
    with ExitStack() as stack:
        plain = connect(impatient, stack)
        started = time.monotonic()
        plain.sendall(b"GET /v1/keys HTTP/1.1\r\n")
        assert plain.recv(100) == b""
        assert 0.8 < time.monotonic() - started < 15


def test_whoever_was_silent_longest_makes_room(impatient: Path) -> None:
    with ExitStack() as stack:
        silent = [connect(impatient, stack) for _ in range(6)]
        client = SigningClient(impatient)  # behind the six in the queue, whenever they are taken from it
        assert client.health()["status"] == "ok"
        silent[0].settimeout(5)
        assert silent[0].recv(1) == b"", "the oldest was let go"
        silent[5].settimeout(0.2)
        with pytest.raises(TimeoutError):
            silent[5].recv(1)
        # The client's own connection is let go meanwhile, and it opens another one unseen.
        for _ in range(6):
            connect(impatient, stack)
        silent[5].settimeout(20)
        assert silent[5].recv(1) == b"", "the last of the first six made room for one of these"
        assert client.health()["status"] == "ok"
        client.close()


def test_connections_that_ended_take_nobodys_place(impatient: Path) -> None:
    for _ in range(4 * 6):
        with ExitStack() as stack:
            plain = connect(impatient, stack)
            plain.sendall(b"GET /v1/keys HTTP/1.1\r\nConnection: close\r\n\r\n")
            while plain.recv(65536):
                pass
    with ExitStack() as stack:
        silent = connect(impatient, stack)
        client = SigningClient(impatient)
        assert client.health()["status"] == "ok"
        client.close()
        silent.settimeout(0.5)
        with pytest.raises(TimeoutError):
            silent.recv(1)


def test_the_socket_is_its_owners_and_what_a_killed_proxy_left_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind("s")
    before = os.umask(0o022)
    try:
        with transport.UnixServer(path, transport.TimedHandler):
            assert path.stat().st_mode & 0o777 == 0o600
            assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
