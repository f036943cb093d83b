"""The proxy as a process: over its socket, under load, killed at any moment."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger_core.errors import DependencyError, InvalidInput, SignerMovedOn, SignerRefused
from ledger_core.log.dsse import PROOF_TYPE, parse_envelope
from ledger_core.log.keys import TrustFile, resolve_keys
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.signing.client import SigningClient

ORIGIN = "ledger.example/test/main"

pytestmark = pytest.mark.integration


class Proxy:
    """A proxy process over one folder; may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket_path = folder / "run" / "signer.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **environment: str) -> Proxy:
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "ledger_core.signing.proxy",
                "--socket", str(self.socket_path), "--state", str(self.folder / "signer"),
                "--trust", str(self.folder / "trust.json"), "--origin-prefix", "ledger.example/test/",
            ],
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
        )  # fmt: skip
        return self

    def wait(self) -> SigningClient:
        client = SigningClient(self.socket_path)
        deadline = time.monotonic() + 30
        while True:
            try:
                client.health()
                return client
            except DependencyError:
                assert self.process is not None
                assert self.process.poll() is None, self.process.stderr
                assert time.monotonic() < deadline, "the proxy did not come up"
                time.sleep(0.02)

    def kill(self, number: int = signal.SIGKILL) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.communicate()
        return self.process.returncode


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    proxy = Proxy(tmp_path)
    yield proxy.start()
    if proxy.process is not None and proxy.process.poll() is None:
        proxy.kill()
    if proxy.process is not None and proxy.process.stderr is not None:
        proxy.process.stderr.close()


class GrowingLog:
    """A log that keeps its frontier, as the sequencer does."""

    def __init__(self) -> None:
        self.frontier = Frontier()

    def next(self, count: int = 3) -> Callable[[SigningClient], str]:
        leaves = [leaf_hash(b"%d" % (self.frontier.size + step)) for step in range(count)]
        old, self.frontier = self.frontier, self.frontier.extend(leaves)
        root = self.frontier.root()
        return lambda client: client.sign_checkpoint(origin=ORIGIN, old=old, leaves=leaves, root=root)


def forged(old_size: int, size: int, origin: str = ORIGIN) -> dict[str, Any]:
    """What a thief would ask for: another history of `old_size` records, grown to `size`."""
    old = Frontier().extend(leaf_hash(b"forged %d" % number) for number in range(old_size))
    leaves = [leaf_hash(b"forged %d" % number) for number in range(old_size, size)]
    return {"origin": origin, "old": old, "leaves": leaves, "root": old.extend(leaves).root()}


def size_of(note: str) -> int:
    return parse_checkpoint(parse_note(note).text).size


def test_checkpoints_are_signed_and_count_under_the_trust_file(proxy: Proxy, tmp_path: Path) -> None:
    client, log = proxy.wait(), GrowingLog()
    assert client.latest(ORIGIN) is None
    notes = [log.next()(client) for _ in range(20)]
    assert [size_of(note) for note in notes] == list(range(3, 63, 3))
    ring = resolve_keys(TrustFile.load(tmp_path / "trust.json"), map(parse_envelope, client.keys()))
    note = parse_note(notes[-1])
    assert ring.judge_checkpoint(note, parse_checkpoint(note.text)).verdict is None
    envelope = parse_envelope(client.sign_dsse(PROOF_TYPE, b'{"origin":"ledger.example/test/main"}'))
    assert ring.judge_envelope(envelope, ORIGIN, 1).verdict is None


def test_refusals_come_back_typed(proxy: Proxy) -> None:
    client, log = proxy.wait(), GrowingLog()
    log.next(10)(client)
    with pytest.raises(SignerRefused) as fork:
        client.sign_checkpoint(**forged(0, 10))
    assert fork.value.context["reason"] == "fork"
    assert size_of(fork.value.context["latest"]) == 10, "the note is the evidence"
    with pytest.raises(SignerMovedOn) as moved:
        client.sign_checkpoint(**forged(4, 20))
    assert moved.value.latest is not None
    assert size_of(moved.value.latest) == 10
    with pytest.raises(SignerRefused):
        client.sign_checkpoint(**forged(0, 1, "other.example/test/main"))
    with pytest.raises(InvalidInput):
        client.sign_checkpoint(**forged(0, 0))
    with pytest.raises(SignerRefused):
        client.sign_dsse("application/octet-stream", b"{}")
    assert size_of(client.sign_checkpoint(**forged(0, 3))) == 10


def test_the_socket_is_its_owners_alone(proxy: Proxy) -> None:
    proxy.wait()
    mode = proxy.socket_path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert mode & 0o777 == 0o600


def test_there_is_no_route_that_signs_a_digest(proxy: Proxy) -> None:
    proxy.wait()
    for route in ("/v1/sign", "/v1/digest", "/sign", "/v1/checkpoint/../sign"):
        assert exchange(proxy.socket_path, b"POST %b HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}" % route.encode()) == 404


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST /v1/checkpoint HTTP/1.1\r\n\r\n", 400),
        (b"POST /v1/checkpoint HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 400),
        (b"POST /v1/checkpoint HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /v1/checkpoint HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"POST /v1/dsse HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]", 400),
        (b"POST /v1/dsse HTTP/1.1\r\nContent-Length: 2\r\n\r\n\xff\xff", 400),
        (b"GET /v1/checkpoint HTTP/1.1\r\n\r\n", 403),
        (b"DELETE /v1/keys HTTP/1.1\r\n\r\n", 501),
        (b"GET /%b HTTP/1.1\r\n\r\n" % (b"x" * 70_000), 414),
    ],
)
def test_a_malformed_request_gets_a_status_and_the_proxy_lives_on(proxy: Proxy, data: bytes, status: int) -> None:
    client = proxy.wait()
    assert exchange(proxy.socket_path, data) == status
    assert client.health()["status"] == "ok"


def exchange(path: Path, data: bytes) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as plain:
        plain.settimeout(10)
        plain.connect(str(path))
        plain.sendall(data)
        response = http.client.HTTPResponse(plain)
        response.begin()
        return response.status


def test_a_proxy_killed_at_any_moment_neither_forks_nor_forgets(proxy: Proxy) -> None:
    """Kill it under load again and again; whatever was answered must be contained in what it says afterwards."""
    log, answered = GrowingLog(), 0
    for attempt in range(4):
        client = proxy.wait()
        timer = threading.Timer(0.05 + 0.03 * attempt, proxy.kill)
        timer.start()
        pending = log.next()
        try:
            while True:
                answered = size_of(pending(client))
                pending = log.next()
        except DependencyError:
            timer.join()
        client = proxy.start().wait()
        latest = client.latest(ORIGIN)
        assert latest is not None
        assert size_of(latest) >= answered
        # The request that was cut off is sent again, word by word.
        assert size_of(pending(client)) == log.frontier.size
        with pytest.raises(SignerRefused):
            client.sign_checkpoint(**forged(answered, log.frontier.size))


def test_a_restart_is_not_seen_by_a_client_that_stayed_connected(proxy: Proxy) -> None:
    client, log = proxy.wait(), GrowingLog()
    log.next()(client)
    assert proxy.kill(signal.SIGTERM) == 0
    with pytest.raises(DependencyError):
        client.health()
    proxy.start().wait()
    assert size_of(log.next()(client)) == 6


def test_production_refuses_to_start_with_a_software_key(proxy: Proxy) -> None:
    proxy.wait()
    proxy.kill()
    proxy.start(COUNTERFOIL_ENV="production")
    assert proxy.process is not None
    _, stderr = proxy.process.communicate(timeout=30)
    assert proxy.process.returncode == 2
    assert b"refused in production" in stderr


def test_a_second_proxy_on_the_same_folder_does_not_start(proxy: Proxy) -> None:
    proxy.wait()
    other = Proxy(proxy.folder).start()
    assert other.process is not None
    _, stderr = other.process.communicate(timeout=30)
    assert other.process.returncode == 2
    assert b"another signing proxy" in stderr
    assert proxy.wait().health()["status"] == "ok"


def test_threads_share_a_client(proxy: Proxy) -> None:
    client, log = proxy.wait(), GrowingLog()
    log.next(8)(client)
    sizes: list[int] = []

    def ask() -> None:
        sizes.extend(size_of(client.latest(ORIGIN) or "") for _ in range(20))
        client.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == [8] * 160


def test_a_socket_path_longer_than_an_address_works(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    proxy = Proxy(folder).start()
    try:
        assert proxy.wait().health()["status"] == "ok"
    finally:
        proxy.kill()
