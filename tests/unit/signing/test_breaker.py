"""After a few failures in a row nobody waits for the next one, and one call finds out when it is over."""

from __future__ import annotations

import threading

from ledger_core.signing.breaker import Breaker


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def broken(time: Time, failures: int = 3) -> Breaker:
    breaker = Breaker(failures=failures, pause_seconds=1.0, max_pause_seconds=4.0, clock=time)
    for _ in range(failures):
        assert breaker.wait_seconds() == 0.0
        breaker.gone("refused")
    return breaker


def test_it_opens_after_failures_in_a_row_and_says_for_how_long() -> None:
    breaker = broken(Time())
    assert breaker.wait_seconds() == 1.0
    assert (breaker.failed, breaker.last_error) == (3, "refused")


def test_an_answer_between_failures_keeps_it_closed() -> None:
    breaker = Breaker(failures=3, clock=Time())
    for _ in range(10):
        breaker.gone("x")
        breaker.gone("x")
        breaker.succeeded()
    assert breaker.wait_seconds() == 0.0


def test_when_the_pause_is_over_one_call_passes_and_no_other() -> None:
    time = Time()
    breaker = broken(time)
    time.now = 1.0
    waits: list[float] = []
    threads = [threading.Thread(target=lambda: waits.append(breaker.wait_seconds())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wait == 0.0 for wait in waits) == [False] * 7 + [True]
    breaker.succeeded()
    assert [breaker.wait_seconds() for _ in range(3)] == [0.0] * 3, "all pass again"


def test_a_probe_that_fails_doubles_the_pause_up_to_a_bound() -> None:
    time = Time()
    breaker = broken(time)
    pauses = []
    for _ in range(4):
        pauses.append(breaker.wait_seconds())
        time.now += pauses[-1]
        assert breaker.wait_seconds() == 0.0
        breaker.gone("still")
    assert pauses == [1.0, 2.0, 4.0, 4.0]
    time.now += 4.0
    assert breaker.wait_seconds() == 0.0
    breaker.succeeded()
    for _ in range(3):
        breaker.gone("again")
    assert breaker.wait_seconds() == 1.0, "it begins anew"


def test_calls_that_were_under_way_when_it_opened_do_not_prolong_it() -> None:
    time = Time()
    breaker = broken(time)
    time.now = 0.5
    breaker.gone("late")
    assert breaker.wait_seconds() == 0.5
