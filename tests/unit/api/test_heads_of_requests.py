"""What a head is refused for, said by the function that every request is held to; over sockets: `test_api_heads.py`."""

from __future__ import annotations

import pytest

from api.http.heads import MAX_HEAD_BYTES, SAID_ONCE, name_said_twice, objection_to

HOST = (b"host", b"x")
CHUNKED = (b"transfer-encoding", b"chunked")


def objection(*headers: tuple[bytes, bytes], url: bytes = b"/", version: str = "1.1") -> tuple[int, str] | None:
    found = objection_to(url, headers, version)
    return None if found is None else (found.status, found.detail)


def test_the_address_and_the_names_and_the_values_of_a_head_count_towards_its_bound() -> None:
    room = MAX_HEAD_BYTES - len(b"/" + b"host" + b"x")
    for more, url, header in (
        (0, b"/", (b"x", b"y" * (room - 1))),
        (1, b"/", (b"x", b"y" * room)),
        (0, b"/", (b"x" * room, b"")),
        (1, b"/", (b"x" * room, b"y")),
        (0, b"/" * (room - 1), (b"x", b"y")),
        (1, b"/" * room, (b"x", b"y")),
    ):
        assert (objection(HOST, header, url=url) is None) is (more == 0)
        assert more == 0 or objection_to(url, [HOST, header], "1.1")[:2] == (431, "head_too_large")


DECIDES = (
    b"authorization", b"content-encoding", b"content-length", b"content-type", b"host", b"idempotency-key", b"if-match",
    b"transfer-encoding",
)  # fmt: skip


@pytest.mark.parametrize("name", DECIDES)
def test_whatever_decides_something_is_said_once(name: bytes) -> None:
    once = [(each, b"chunked" if each == b"transfer-encoding" else b"1") for each in DECIDES]
    assert objection(*once) is None
    again = (name, dict(once)[name])  # the same again is a second one too
    assert objection(*once, again) == (400, f"The header {name.decode()} is there more than once.")
    assert set(DECIDES) == SAID_ONCE, "each is tried here"


def test_what_decides_nothing_may_be_said_as_often_as_one_likes() -> None:
    assert objection(HOST, (b"accept", b"a"), (b"accept", b"b"), (b"x-forwarded-for", b"c")) is None


def test_a_host_is_asked_for_where_the_version_asks_for_it() -> None:
    assert objection(version="1.1") == (400, "A request of HTTP/1.1 names its host (RFC 9112, 3.2).")
    assert objection(version="1.0") is None


@pytest.mark.parametrize("coding", [b"gzip", b"gzip, chunked", b"identity", b"", b"xchunked", b"chunked, chunked"])
def test_any_transfer_encoding_but_chunked_is_refused(coding: bytes) -> None:
    assert objection(HOST, (b"transfer-encoding", coding)) == (
        400,
        "The only transfer encoding is chunked, in HTTP/1.1.",
    )


@pytest.mark.parametrize("coding", [b"chunked", b" chunked\t", b"Chunked", b"CHUNKED"])
def test_chunked_in_any_case_is_taken_in_http_1_1_alone(coding: bytes) -> None:
    assert objection(HOST, (b"transfer-encoding", coding)) is None
    assert objection((b"transfer-encoding", coding), version="1.0") is not None


@pytest.mark.parametrize(
    ("query", "name"),
    [
        (b"", None),
        (b"book=main", None),
        (b"book=main&limit=2", None),
        (b"book=main&Book=other", None),
        (b"book=main&limit=2&book=other", "book"),
        (b"book=&book=", "book"),
        (b"b%6Fok=main&book=main", "book"),
        (b"a=1&b=2&c=3&c=3", "c"),
        (b"a+b=1&a%20b=2", "a b"),
    ],
)
def test_a_name_that_a_query_says_twice_is_found(query: bytes, name: str | None) -> None:
    assert name_said_twice(query) == name
