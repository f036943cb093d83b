"""Requests that can be read in two ways, and what stands behind a whole one on the same connection."""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
import uvicorn

from api.app import create_app
from api.http.connections import Connection
from api.http.heads import MAX_HEAD_BYTES
from api.server import Server
from ledger_core.base.processes import free_port

ENTRIES = "/finance/journal-entries"


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """One server, asked by bytes."""

    port: int
    token: str

    def ask(self, content: bytes) -> list[tuple[int, bytes]]:
        """Send `content`, say that no more comes, and return status and whole of each final answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(content)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
        parts = [part for part in re.split(rb"(?=HTTP/1\.1 \d{3} )", received) if part]
        return [(int(part[9:12]), part) for part in parts]

    def post(self, entry: dict, key: str, *more: str, body: bytes | None = None, version: str = "1.1") -> bytes:
        content = json.dumps(entry).encode() if body is None else body
        framed = any(each.startswith(("content-length", "transfer-encoding")) for each in more)
        length = () if framed else (f"content-length: {len(content)}",)
        head = (
            f"POST {ENTRIES} HTTP/{version}", "host: x", f"authorization: Bearer {self.token}",
            "content-type: application/json", f"idempotency-key: {key}", *length, *more, "", "",
        )  # fmt: skip
        return "\r\n".join(head).encode("latin-1") + content


@pytest.fixture
def raw(api) -> Iterator[Raw]:
    port = free_port()
    app = create_app(api.settings, runtime=api.runtime)
    server = Server(uvicorn.Config(app, host="127.0.0.1", port=port, http=Connection, ws="none", log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield Raw(port=port, token=api.token())
    server.should_exit = server.force_exit = True
    thread.join(30)


def refused(answers: list[tuple[int, bytes]], status: int, code: str) -> bool:
    return (
        [each[0] for each in answers] == [status]
        and b"application/problem+json" in answers[0][1]
        and (f'"code":"{code}"'.encode() in answers[0][1])
    )


CLOSE = "connection: close"
TWICE = (
    "authorization: Bearer x",
    "idempotency-key: another",
    "content-type: text/plain",
    "host: y",
    "if-match: a\r\nif-match: b",
)


@pytest.mark.parametrize("line", TWICE)
def test_a_header_that_decides_and_is_there_twice_is_refused(raw: Raw, http, entry, line: str) -> None:
    draft = entry()
    assert refused(raw.ask(raw.post(draft, "key-1", line)), 400, "malformed_request")
    assert all(each["external_id"] != draft["external_id"] for each in http.get(ENTRIES).json()["entries"])


def chunked(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)


CHUNKED = "transfer-encoding: chunked"
FRAMES = {
    "gzip, then chunked": (("transfer-encoding: gzip, chunked",), "1.1"),
    "chunked twice": ((CHUNKED, CHUNKED), "1.1"),
    "identity": (("transfer-encoding: identity",), "1.1"),
    "chunked in HTTP/1.0": ((CHUNKED,), "1.0"),
    "chunked and a length": ((CHUNKED, "content-length: 5"), "1.1"),
    "a length and chunked": (("content-length: 5", CHUNKED), "1.1"),
    "two lengths": (("content-length: 5", "content-length: 6"), "1.1"),
    "two lengths in one": (("content-length: 5, 5",), "1.1"),
    "a length below zero": (("content-length: -5",), "1.1"),
    "a length of 400 digits": (("content-length: " + "9" * 400,), "1.1"),
    "a chunk without a number": ((CHUNKED,), "1.1"),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_body_whose_end_can_be_read_in_two_ways_is_refused(raw: Raw, entry, name: str) -> None:
    more, version = FRAMES[name]
    content = b"zz\r\n{}" if name == "a chunk without a number" else chunked(json.dumps(entry()).encode())
    answers = raw.ask(raw.post({}, "key-2", *more, body=content, version=version))
    assert refused(answers, 400, "malformed_request"), answers


@pytest.mark.parametrize("unpacked", [True, False])
def test_a_body_that_says_it_is_packed_is_not_read_as_if_it_were_not(raw: Raw, entry, unpacked: bool) -> None:
    content = json.dumps(entry()).encode()
    body = content if unpacked else gzip.compress(content)
    answers = raw.ask(raw.post({}, "key-3", "content-encoding: gzip", CLOSE, body=body))
    assert refused(answers, 415, "unsupported_media_type")


def test_a_request_that_names_no_host_is_refused(raw: Raw) -> None:
    assert refused(raw.ask(b"GET /livez HTTP/1.1\r\n\r\n"), 400, "malformed_request")
    assert raw.ask(b"GET /livez HTTP/1.0\r\n\r\n")[0][1].endswith(b"}")


@pytest.mark.parametrize("query", ["book=main&book=other", "limit=1&b%6Fok=main&book=main", "book=&book="])
def test_a_query_that_says_a_name_twice_is_refused(http, query: str) -> None:
    answer = http.get(f"{ENTRIES}?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "book"


@pytest.mark.parametrize("size", [MAX_HEAD_BYTES + 1, 1024 * 1024])
def test_who_sends_too_long_a_head_at_once_gets_the_answer_too(raw: Raw, size: int) -> None:
    content = b"GET /livez HTTP/1.1\r\nhost: x\r\nx-long: " + b"y" * size + b"\r\n\r\n"
    assert refused(raw.ask(content), 431, "head_too_large")


BEHIND = {
    "bytes that are no HTTP": b"\x00\x01 nonsense\r\n\r\n",
    "a head without end": b"GET / HTTP/1.1\r\nhost: x\r\nx-long: " + b"y" * 200_000,
    "a head of two readings": b"GET /livez HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
    "a body of no size": b"POST /x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("name", BEHIND)
def test_what_came_whole_is_answered_before_what_is_wrong_behind_it(raw: Raw, http, entry, name: str) -> None:
    draft = entry()
    answers = raw.ask(raw.post(draft, uuid.uuid4().hex) + BEHIND[name])
    assert answers[0][0] == 201, answers
    assert answers[1][0] in (400, 431)
    assert len(answers) == 2
    assert [each["external_id"] for each in http.get(ENTRIES).json()["entries"]].count(draft["external_id"]) == 1


@pytest.mark.parametrize("goes_on", [False, True], ids=["stays", "goes on sending"])
def test_who_was_refused_and_does_not_go_is_closed_all_the_same(raw: Raw, goes_on: bool) -> None:
    began, sent = time.monotonic(), 0
    with socket.create_connection(("127.0.0.1", raw.port), timeout=30) as connection, suppress(OSError):
        connection.sendall(b"nonsense\r\n\r\n")
        while connection.recv(65536):
            pass
        # Our own side is open still: only the server's closing makes what follows fail.
        while time.monotonic() - began < 40:
            sent += connection.send(b"y" * (65536 if goes_on else 1))
            if not goes_on:
                time.sleep(0.1)
    assert time.monotonic() - began < 30
    assert sent < 64 * 1024 * 1024
