"""How long a connection may owe a head, a body or its reading, and what is said to it: over real sockets.

Which one goes when there are too many: `test_api_connections.py`.
"""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from api.http import connections
from api.http.heads import MAX_HEAD_BYTES
from tests.integration.api.halls import (
    BODY,
    BODY_BYTES,
    GET,
    HALF,
    SIZES,
    TWICE,
    WAIT,
    Bounded,
    answered,
    is_open,
    status,
    until,
    whole,
)  # fmt: skip


def test_a_body_that_goes_on_gains_time_and_one_that_stops_is_ended(hall, monkeypatch) -> None:
    monkeypatch.setattr(Bounded, "body_seconds", 1.0)
    silent, talking = hall.connect(BODY), hall.connect(BODY + b"x" * 640_000)
    assert status(silent) == b"HTTP/1.1 408"
    assert is_open(talking, 2.0), "640 kB are worth nineteen seconds"


def test_who_does_not_read_the_answer_loses_the_connection(hall, monkeypatch) -> None:
    monkeypatch.setattr(connections, "UNREAD_ANSWER_SECONDS", 0.5)
    deaf = hall.connect(GET.replace(b"/ ", b"/much "))
    deaf.recv(1)
    until(lambda: not hall.connections, 60)
    received = 0
    with suppress(ConnectionResetError):
        while chunk := deaf.recv(1024 * 1024):
            received += len(chunk)
    assert received < SIZES["/much"]


def test_who_reads_slowly_gets_the_whole_answer(hall, monkeypatch) -> None:
    monkeypatch.setattr(connections, "UNREAD_ANSWER_SECONDS", 5.0)
    slow = hall.connect(GET.replace(b"/ ", b"/much "))
    received, began = 0, time.monotonic()
    while received < SIZES["/much"]:
        chunk = slow.recv(1024 * 1024)
        assert chunk, f"closed after {received} bytes and {time.monotonic() - began:.1f} s"
        received += len(chunk)
        if received < 8 * 1024 * 1024:
            time.sleep(0.1)


def test_a_request_that_is_worked_on_is_not_called_slow(hall, monkeypatch) -> None:
    monkeypatch.setattr(Bounded, "head_seconds", 0.3)
    monkeypatch.setattr(Bounded, "body_seconds", 0.3)
    (working,) = hall.working(1)
    assert is_open(working, 2.5)
    hall.let()
    working.settimeout(20)
    assert status(working) == b"HTTP/1.1 200"


def test_who_did_not_read_once_is_not_held_to_it_later(hall, monkeypatch) -> None:
    monkeypatch.setattr(connections, "UNREAD_ANSWER_SECONDS", 2.5)
    slow = hall.connect()
    for _ in range(2):
        slow.sendall(GET.replace(b"/ ", b"/much "))
        time.sleep(1.5)
        received = b""
        while b"\r\n\r\n" not in received:
            received += slow.recv(65536)
        left = SIZES["/much"] - len(received.partition(b"\r\n\r\n")[2])
        while left:
            chunk = slow.recv(min(left, 1024 * 1024))
            assert chunk, "closed"
            left -= len(chunk)
        time.sleep(1.5)


def test_who_never_reads_the_end_of_an_answer_does_not_keep_a_closed_connection(hall, monkeypatch) -> None:
    """What the kernel does not take is not always so much that writing is paused."""
    monkeypatch.setattr(connections, "UNREAD_ANSWER_SECONDS", 0.5)
    served = hall.deaf()
    assert not served.flow.write_paused
    hall.call(served.transport.close)  # as after an idle time
    until(lambda: not hall.connections)


def test_a_head_and_a_body_have_a_deadline_each_and_a_second_request_has_its_own(hall, monkeypatch) -> None:
    monkeypatch.setattr(Bounded, "head_seconds", 2.0)
    monkeypatch.setattr(Bounded, "body_seconds", 2.0)
    slow = hall.connect()
    for _ in range(2):
        slow.sendall(b"POST / HTTP/1.1\r\nhost: x\r\n")
        time.sleep(1.4)
        slow.sendall(b"content-length: 2\r\n\r\n")
        time.sleep(1.4)
        slow.sendall(b"{}")
        assert answered(slow)
        time.sleep(2.2)  # idle for longer than a head may take


def test_a_long_head_gains_no_time_for_its_body(hall, monkeypatch) -> None:
    monkeypatch.setattr(Bounded, "body_seconds", 0.5)
    monkeypatch.setattr(connections, "BODY_BYTES_PER_SECOND", 1024)
    slow = hall.connect()
    for part in (b"POST / HTTP/1.1\r\nhost: x\r\n", b"x-long: " + b"y" * 40_000, b"\r\ncontent-length: 2\r\n\r\n"):
        slow.sendall(part)
        time.sleep(0.1)
    slow.settimeout(10)
    assert status(slow) == b"HTTP/1.1 408"


def test_a_large_body_counts_towards_no_head(hall) -> None:
    client = hall.connect()
    for _ in range(2):
        client.sendall(BODY[:20])
        time.sleep(0.1)
        client.sendall(BODY[20:] + b"x" * BODY_BYTES)
        assert answered(client)


def test_a_head_behind_a_request_that_takes_long_is_taken_when_it_comes(hall, monkeypatch) -> None:
    monkeypatch.setattr(Bounded, "head_seconds", 0.3)
    (half,) = hall.working(1, WAIT + HALF)
    time.sleep(2.5)
    half.sendall(b"\r\n")
    time.sleep(0.2)
    hall.let()
    assert answered(half, 2)


def test_a_body_that_we_do_not_read_on_is_not_late(hall, monkeypatch) -> None:
    """It is we who are busy: what the client has sent waits for us."""
    monkeypatch.setattr(Bounded, "body_seconds", 0.3)
    monkeypatch.setattr(connections, "BODY_BYTES_PER_SECOND", 10**9)
    much = 16 * BODY_BYTES
    head = BODY.replace(b"/ ", b"/late ").replace(b"%d" % BODY_BYTES, b"%d" % much)
    (waits,) = hall.working(1, head + b"x" * 200_000)
    time.sleep(2.5)
    assert next(iter(hall.connections)).flow.read_paused
    monkeypatch.setattr(Bounded, "body_seconds", 60.0)
    hall.let()
    waits.sendall(b"x" * (much - 200_000))
    assert answered(waits)


def test_what_comes_of_a_request_that_was_refused_is_not_carried_out(hall, monkeypatch) -> None:
    monkeypatch.setattr(connections, "LINGER_SECONDS", 60.0)
    monkeypatch.setattr(Bounded, "head_seconds", 0.3)
    late = hall.connect(HALF)
    assert whole(late).startswith(b"HTTP/1.1 408")
    late.sendall(b"\r\n" + GET)
    monkeypatch.setattr(Bounded, "head_seconds", 60.0)
    assert answered(hall.connect(GET))
    assert hall.app.ends == ["http.request"], "of the last one alone"


@pytest.mark.parametrize("first", [TWICE, b"nonsense\r\n\r\n"])
def test_a_refusal_is_read_by_whom_has_sent_a_megabyte_behind(hall, first: bytes) -> None:
    rude = hall.connect(first + b"y" * 1024 * 1024)
    answer = whole(rude)
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.endswith(b"}")


def test_a_megabyte_behind_a_refusal_that_is_to_come_does_not_cost_the_answer_before_it(hall, monkeypatch) -> None:
    monkeypatch.setattr(connections, "MAX_LINGER_BYTES", 10_000)
    (working,) = hall.working(1, WAIT + TWICE)
    working.sendall(b"y" * 1024 * 1024)
    time.sleep(0.2)
    hall.let()
    assert [part[:3] for part in whole(working).split(b"HTTP/1.1 ")[1:]] == [b"200", b"400"]


def test_a_head_without_an_end_is_refused_where_its_bound_is_passed(hall) -> None:
    endless = hall.connect(HALF)
    for number in range(5):
        endless.sendall(b"x-%d: %s\r\n" % (number, b"y" * (MAX_HEAD_BYTES // 4)))
        time.sleep(0.1)
    assert whole(endless).startswith(b"HTTP/1.1 431")


def test_what_is_wrong_behind_a_whole_request_is_said_once_and_after_its_answer(hall) -> None:
    (working,) = hall.working(1, WAIT + GET + TWICE + GET)
    hall.let()
    answer = whole(working)
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"400"]
    assert b"The header host is there more than once." in answer
    assert hall.app.ends == ["http.request"] * 2


def test_who_was_refused_may_send_on_for_a_moment_and_so_much_and_is_closed(hall, monkeypatch) -> None:
    monkeypatch.setattr(connections, "LINGER_SECONDS", 0.5)
    stays = hall.connect(TWICE)
    assert whole(stays).startswith(b"HTTP/1.1 400")
    assert hall.connections, "what is under way to us would take the answer back"
    until(lambda: not hall.connections, 10)
    monkeypatch.setattr(connections, "LINGER_SECONDS", 60.0)
    monkeypatch.setattr(connections, "MAX_LINGER_BYTES", 100_000)
    talks = hall.connect(TWICE)
    assert whole(talks).startswith(b"HTTP/1.1 400")
    talks.sendall(b"y" * 50_000)
    time.sleep(1.5)
    assert hall.connections
    with suppress(OSError):
        talks.sendall(b"y" * 60_000)
    until(lambda: not hall.connections, 10)


def test_what_was_read_before_a_refusal_leaves_who_was_refused_the_room_to_read_it(hall, monkeypatch) -> None:
    monkeypatch.setattr(connections, "LINGER_SECONDS", 60.0)
    monkeypatch.setattr(connections, "MAX_LINGER_BYTES", 100_000)
    monkeypatch.setattr(connections, "BODY_BYTES_PER_SECOND", 10**9)
    monkeypatch.setattr(Bounded, "body_seconds", 0.3)
    late = hall.connect(BODY)
    time.sleep(0.1)
    late.sendall(b"x" * 150_000)
    assert whole(late).startswith(b"HTTP/1.1 408")
    late.sendall(b"x" * 10_000)
    time.sleep(0.3)
    assert hall.connections


def test_an_application_that_reads_a_body_is_told_at_once_that_the_rest_does_not_come(hall, monkeypatch) -> None:
    monkeypatch.setattr(connections, "LINGER_SECONDS", 60.0)
    monkeypatch.setattr(Bounded, "body_seconds", 0.3)
    late = hall.connect(BODY + b"x" * 10)
    assert whole(late).startswith(b"HTTP/1.1 408"), "and that is all that is said"
    until(lambda: hall.app.ends == ["http.disconnect"], 5)
    assert hall.connections


def test_no_refusal_stands_inside_an_answer_that_has_begun(hall, monkeypatch) -> None:
    monkeypatch.setattr(Bounded, "body_seconds", 0.3)
    late = hall.connect(BODY.replace(b"/ ", b"/early ") + b"x")
    answer = whole(late)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n"), answer
