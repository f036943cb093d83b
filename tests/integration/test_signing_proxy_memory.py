"""What requests may hold of the proxy's memory, all together: real sockets against the real process."""

from __future__ import annotations

import contextlib
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
from pathlib import Path

import pytest

from ledger_core.errors import DependencyError
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.signing.bodies import MAX_HELD_BYTES
from ledger_core.signing.client import SigningClient
from ledger_core.signing.proxy import MAX_BODY_BYTES
from ledger_core.signing.server import MAX_HEAD_BYTES

ORIGIN = "ledger.example/test/main"
LEAVES = [leaf_hash(b"%d" % number) for number in range(8)]
MIB = 1024 * 1024

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """A running proxy: its socket and its pid."""
    folder = tmp_path_factory.mktemp("proxy")
    process = subprocess.Popen(
        [
            sys.executable, "-m", "ledger_core.signing.proxy", "--socket", str(folder / "s"),
            "--state", str(folder / "signer"), "--trust", str(folder / "trust.json"),
            "--origin-prefix", "ledger.example/test/",
        ],
        stderr=subprocess.DEVNULL, env={**os.environ, "COUNTERFOIL_ENV": "test"},
    )  # fmt: skip
    client = SigningClient(folder / "s")
    while True:
        try:
            client.health()
            break
        except DependencyError:
            assert process.poll() is None
            time.sleep(0.02)
    client.close()
    yield folder / "s", process.pid
    process.terminate()
    process.wait(30)


class Sender(threading.Thread):
    """Announces a body and sends `size` bytes of it, as fast as they are taken; keeps what it is answered."""

    def __init__(self, path: Path, size: int) -> None:
        super().__init__()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(str(path))
        self.socket.settimeout(60)
        self.sent = threading.Event()
        self.answer: tuple[int, bytes] | None = None
        self._size = size

    def run(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.sendall(b"POST /v1/dsse HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % MAX_BODY_BYTES)
            self.socket.sendall(b" " * self._size)
        self.sent.set()
        with contextlib.suppress(OSError, http.client.HTTPException):
            response = http.client.HTTPResponse(self.socket)
            response.begin()
            self.answer = response.status, response.read()


def memory_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def test_large_bodies_share_one_budget_and_small_ones_are_always_taken(proxy: tuple[Path, int]) -> None:
    path, pid = proxy
    before = memory_bytes(pid)
    senders = [Sender(path, MAX_BODY_BYTES - 1) for _ in range(16)]
    client = SigningClient(path)
    try:
        for sender in senders:
            sender.start()
        for sender in senders:
            assert sender.sent.wait(60)
        held = memory_bytes(pid) - before
        note = client.sign_checkpoint(
            origin=ORIGIN, old=Frontier(), leaves=LEAVES, root=Frontier().extend(LEAVES).root()
        )
        assert parse_checkpoint(parse_note(note).text).size == len(LEAVES)
    finally:
        for sender in senders:
            with contextlib.suppress(OSError):
                sender.socket.shutdown(socket.SHUT_WR)
        for sender in senders:
            sender.join(60)
            sender.socket.close()
        client.close()
    # 16 of them hold 512 MB where each is bounded alone.
    assert held < 2 * MAX_HELD_BYTES + 64 * MIB  # each is put together once more when it is whole
    refused = [json.loads(sender.answer[1]) for sender in senders if sender.answer and sender.answer[0] == 503]
    assert len(refused) >= len(senders) - 2
    assert {problem["code"] for problem in refused} == {DependencyError.code}
    assert all("at once" in problem["detail"] and problem["remedy"] for problem in refused)


def test_what_was_held_is_given_back_however_a_request_ends(proxy: tuple[Path, int]) -> None:
    path, _ = proxy
    for _ in range(4):  # more than the budget, one after the other, each cut off
        sender = Sender(path, MAX_BODY_BYTES - 1)
        sender.start()
        assert sender.sent.wait(60)
        sender.socket.shutdown(socket.SHUT_WR)
        sender.join(60)
        sender.socket.close()
        assert sender.answer is not None
        assert sender.answer[0] == 400
    with ExitStack() as stack:
        plain = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        plain.connect(str(path))
        plain.settimeout(60)
        for _ in range(4):  # and four whole ones on one connection
            body = b'{"payload_type":"x","payload":"' + b"A" * (MAX_BODY_BYTES - 40) + b'"}'
            plain.sendall(b"POST /v1/dsse HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            response = http.client.HTTPResponse(plain)
            response.begin()
            assert (response.status, json.loads(response.read())["code"]) == (403, "signer_refused")


def test_a_head_holds_no_more_than_its_bound_however_many_lines_it_has(proxy: tuple[Path, int]) -> None:
    path, pid = proxy
    before = memory_bytes(pid)
    line = b"a: " + b"b" * 60_000 + b"\r\n"
    answers = []
    with ExitStack() as stack:
        plain = [stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) for _ in range(40)]
        for each in plain:
            each.connect(str(path))
            # 50 lines are within the library's own bounds; what is past ours is not taken off our hands for long.
            each.settimeout(5)
            with contextlib.suppress(OSError):
                each.sendall(b"GET /v1/keys HTTP/1.1\r\n" + line * 50)
        held = memory_bytes(pid) - before
        for each in plain:
            response = http.client.HTTPResponse(each)
            with contextlib.suppress(OSError, http.client.HTTPException):
                response.begin()
                answers.append(response.status)
    assert set(answers) == {431}
    assert held < 40 * 2 * MAX_HEAD_BYTES + 16 * MIB
