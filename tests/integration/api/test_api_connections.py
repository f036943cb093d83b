"""Which connection goes and which stays, over real sockets and under an application that does nothing but wait.

What each may take, and what is said to it: `test_api_connections_owing.py`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from api.http import connections
from tests.integration.api.halls import (
    BODY,
    GET,
    HALF,
    TWICE,
    WAIT,
    Bounded,
    answered,
    is_open,
    opened,
    status,
    until,
    whole,
)


@pytest.mark.parametrize("bound", ["max_connections", "max_per_peer"])
def test_where_every_connection_is_at_work_the_newest_is_turned_away_and_the_rest_are_answered(
    hall, monkeypatch, bound
) -> None:
    monkeypatch.setattr(Bounded, bound, 3)
    working = hall.working(3)
    refused = whole(hall.connect())
    assert refused.startswith(b"HTTP/1.1 503")
    assert b"Every connection that there may be is at work." in refused
    hall.let()
    assert [status(each) for each in working] == [b"HTTP/1.1 200"] * 3


@pytest.mark.parametrize("bound", ["max_connections", "max_per_peer"])
@pytest.mark.parametrize("half", [HALF, BODY + b"x"], ids=["half a head", "half a body"])
def test_whoever_owes_for_longest_makes_room_before_one_that_is_idle(hall, monkeypatch, bound, half) -> None:
    idle = hall.connect(GET)
    assert answered(idle)
    older, newer = hall.connect(half), None
    time.sleep(0.05)
    newer = hall.connect(half)
    time.sleep(0.05)
    monkeypatch.setattr(Bounded, bound, 3)
    new = hall.connect(GET)
    assert status(new) == b"HTTP/1.1 200"
    assert status(older) == b"HTTP/1.1 503"
    assert is_open(newer)
    idle.sendall(GET)
    assert answered(idle)


def test_an_idle_one_makes_room_where_nobody_owes_anything(hall, monkeypatch) -> None:
    idle = hall.connect(GET)
    assert answered(idle)
    hall.working(2)
    monkeypatch.setattr(Bounded, "max_connections", 3)
    new = hall.connect(GET)
    assert status(new) == b"HTTP/1.1 200"
    assert status(idle) == b"HTTP/1.1 503"


def test_connections_that_ended_count_for_nothing(hall, monkeypatch) -> None:
    monkeypatch.setattr(Bounded, "max_per_peer", 4)
    for _ in range(12):
        with hall.connect(GET) as connection:
            assert status(connection) == b"HTTP/1.1 200"
    held = [hall.connect(HALF) for _ in range(3)]
    time.sleep(0.2)
    assert all(is_open(each) for each in held)
    for each in held:
        each.close()
    until(lambda: not hall.connections)
    assert not hall.known.peers, "nor is anything kept of an address that is not here"


def test_exactly_as_many_as_there_may_be_are_kept(hall, monkeypatch) -> None:
    for bound in ("max_connections", "max_per_peer"):
        monkeypatch.setattr(Bounded, bound, 3)
    held = [hall.connect(HALF) for _ in range(3)]
    time.sleep(0.2)
    assert all(is_open(each) for each in held)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the loopback has one address")
def test_an_address_that_has_too_many_takes_no_place_of_another(hall, monkeypatch) -> None:
    other = hall.connect(HALF, source="127.0.0.2")
    working = hall.working(1)
    monkeypatch.setattr(Bounded, "max_per_peer", 2)
    older = hall.connect(HALF)
    time.sleep(0.05)
    newer = hall.connect(HALF)
    assert status(older) == b"HTTP/1.1 503"
    assert is_open(newer)
    assert is_open(other), "though it has owed for longest"
    monkeypatch.setattr(Bounded, "max_per_peer", 1)
    assert status(hall.connect(GET, source="127.0.0.3")) == b"HTTP/1.1 200", "each has its own bound"
    hall.let()
    assert [status(each) for each in working] == [b"HTTP/1.1 200"]


def test_on_a_unix_socket_nobody_is_counted_as_one_peer(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Bounded, "max_per_peer", 1)
    with opened(tmp_path) as hall:
        held = [hall.connect(HALF) for _ in range(2)]
        working = hall.working(1)
        assert all(is_open(each) for each in held)
        monkeypatch.setattr(Bounded, "max_connections", 3)
        assert answered(hall.connect(GET))
        hall.let()
        assert status(working[0]) == b"HTTP/1.1 200"


def test_of_those_that_owe_nothing_the_one_of_no_use_for_longest_makes_room(hall, monkeypatch) -> None:
    (late,) = hall.working(1)
    idle = hall.connect(GET)
    assert answered(idle)
    hall.let()
    assert answered(late), "asked first, and answered last"
    monkeypatch.setattr(Bounded, "max_connections", 2)
    assert status(hall.connect(GET)) == b"HTTP/1.1 200"
    assert status(idle) == b"HTTP/1.1 503"
    assert is_open(late)


def test_who_owes_a_head_behind_an_answered_request_owes_it_since_it_began(hall, monkeypatch) -> None:
    (older,) = hall.working(1, WAIT + HALF)
    newer = hall.connect(HALF)
    time.sleep(0.05)
    hall.let()
    assert answered(older)
    monkeypatch.setattr(Bounded, "max_connections", 2)
    assert status(hall.connect(GET)) == b"HTTP/1.1 200"
    assert status(older) == b"HTTP/1.1 503"
    assert is_open(newer)


@pytest.mark.parametrize("behind", [HALF, BODY + b"x", GET + BODY + b"x"], ids=["head", "body", "body of a third"])
def test_half_a_request_behind_a_whole_one_does_not_cost_it_its_place(hall, monkeypatch, behind: bytes) -> None:
    (working,) = hall.working(1, WAIT + behind)
    monkeypatch.setattr(Bounded, "max_connections", 1)
    assert status(hall.connect(GET)) == b"HTTP/1.1 503"
    hall.let()
    assert status(working) == b"HTTP/1.1 200"


def test_many_that_come_at_once_do_not_take_one_place_together(hall, monkeypatch) -> None:
    """A connection that closes already gives no second one its place."""
    assert answered(hall.connect(GET))
    held = [hall.connect(HALF) for _ in range(8)]
    until(lambda: len(hall.connections) == 9)
    monkeypatch.setattr(Bounded, "max_connections", 9)
    hall.call(time.sleep, 0.5)  # the loop: meanwhile they queue up
    new = [hall.connect(HALF) for _ in range(4)]
    until(lambda: all(any(each.client == one.getsockname() for each in hall.connections) for one in new))
    assert [status(each) for each in held[:4]] == [b"HTTP/1.1 503"] * 4
    assert all(is_open(each) for each in (*held[4:], *new))
    assert len(hall.connections) == 9


def test_one_that_closes_and_is_not_gone_makes_no_room(hall, monkeypatch) -> None:
    closing = hall.deaf()
    hall.call(closing.transport.close)
    until(closing.transport.is_closing)
    monkeypatch.setattr(Bounded, "max_connections", 1)
    assert whole(hall.connect()).startswith(b"HTTP/1.1 503")
    assert closing in hall.connections


def test_who_was_refused_and_reads_still_goes_at_once_where_the_place_is_wanted(hall, monkeypatch) -> None:
    monkeypatch.setattr(connections, "LINGER_SECONDS", 60.0)
    refused = hall.connect(TWICE)
    assert whole(refused).startswith(b"HTTP/1.1 400")
    assert len(hall.connections) == 1
    monkeypatch.setattr(Bounded, "max_connections", 1)
    new = hall.connect(GET)
    assert answered(new)
    until(lambda: len(hall.connections) == 1)
    assert is_open(new)


def test_who_gives_way_is_gone_at_once(hall, monkeypatch) -> None:
    monkeypatch.setattr(connections, "LINGER_SECONDS", 60.0)
    older = hall.connect(HALF)
    until(lambda: hall.connections)
    monkeypatch.setattr(Bounded, "max_connections", 1)
    new = hall.connect(GET)
    assert answered(new)
    until(lambda: len(hall.connections) == 1, 5)
    assert status(older) == b"HTTP/1.1 503"


def test_the_deadlines_are_looked_at_again_after_all_were_gone(hall, monkeypatch) -> None:
    monkeypatch.setattr(Bounded, "head_seconds", 0.2)
    for _ in range(2):
        late = hall.connect(HALF)
        assert whole(late).startswith(b"HTTP/1.1 408")
        late.close()
        until(lambda: not hall.connections)
        until(lambda: hall.known.timer is None)


def test_one_timer_looks_after_all_of_them(hall, monkeypatch) -> None:
    monkeypatch.setattr(connections, "LOOK_EVERY_SECONDS", 60.0)
    hall.connect(HALF)
    until(lambda: hall.connections)
    timer = hall.known.timer
    for _ in range(3):
        hall.connect(HALF)
    until(lambda: len(hall.connections) == 4)
    assert hall.known.timer is timer
