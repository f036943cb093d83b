"""Health is asked once for all, and heavy work takes its turn."""

from __future__ import annotations

import asyncio
import resource
import threading
import time

import pytest

from api.health import MAX_QUESTIONS, Health
from api.heavy import HeavyWork
from api.http.budget import FREE_BYTES, BodyBudget
from api.http.problems import ApiProblem
from api.server import FILES_OF_OUR_OWN, places
from ledger_core.errors import TooManyRequests


def test_who_asks_together_shares_one_answer_which_is_kept_for_a_moment() -> None:
    asked: list[int] = []

    def question() -> int:
        time.sleep(0.1)
        asked.append(1)
        return len(asked)

    async def ask() -> list[int]:
        health = Health(kept_seconds=0.3)
        first = await asyncio.gather(*(health.ask("x", question, late=-1) for _ in range(50)))
        kept = await health.ask("x", question, late=-1)
        await asyncio.sleep(0.4)
        return [*first, kept, await health.ask("x", question, late=-1)]

    assert asyncio.run(ask()) == [1] * 51 + [2]


def test_a_dependency_that_hangs_is_waited_for_a_moment_and_holds_no_other_question() -> None:
    hung = threading.Event()

    async def ask() -> tuple[list[int], float, int]:
        health = Health(patience_seconds=0.3)
        began = time.monotonic()
        late = await asyncio.gather(*(health.ask("hangs", lambda: hung.wait(20) and 1, late=-1) for _ in range(30)))
        took = time.monotonic() - began
        other = await health.ask("other", lambda: 7, late=-1)
        hung.set()
        return late, took, other

    late, took, other = asyncio.run(ask())
    assert (late, other) == ([-1] * 30, 7)
    assert took < 10, "it hangs for twenty"


def test_a_question_that_failed_is_asked_again() -> None:
    async def ask() -> int:
        health = Health()
        with pytest.raises(ZeroDivisionError):
            await health.ask("x", lambda: 1 // 0, late=0)
        return await health.ask("x", lambda: 3, late=0)

    assert asyncio.run(ask()) == 3


def test_questions_under_made_up_names_are_bounded_while_they_wait_and_when_they_are_answered() -> None:
    hung = threading.Event()

    async def ask() -> tuple[int, int, int]:
        health = Health(kept_seconds=60, patience_seconds=0.2)
        for number in range(3 * MAX_QUESTIONS):
            await health.ask(f"answered {number}", lambda: 1, late=-1)
        kept = len(health._answered)
        names = [f"hangs {number}" for number in range(3 * MAX_QUESTIONS)]
        late = await asyncio.gather(*(health.ask(name, lambda: hung.wait(20) and 1, late=-1) for name in names))
        waiting = len(health._asked)
        hung.set()
        health.close()
        return kept, waiting, sum(late)

    kept, waiting, late = asyncio.run(ask())
    assert 0 < kept <= MAX_QUESTIONS
    assert 0 < waiting <= MAX_QUESTIONS
    assert late == -3 * MAX_QUESTIONS


def test_heavy_work_goes_one_after_the_other_and_beyond_the_queue_it_is_told_to_wait() -> None:
    async def work() -> tuple[int, int]:
        heavy, here, most, refused = HeavyWork(at_once=1, max_waiting=3), 0, 0, 0

        async def one() -> None:
            nonlocal here, most, refused
            try:
                async with heavy.place():
                    here += 1
                    most = max(most, here)
                    await asyncio.sleep(0.02)
                    here -= 1
            except TooManyRequests:
                refused += 1

        await asyncio.gather(*(one() for _ in range(10)))
        async with heavy.place():
            pass
        return most, refused

    assert asyncio.run(work()) == (1, 6)


def test_a_body_pays_for_what_is_above_the_free_part_and_gives_it_back() -> None:
    budget = BodyBudget(max_bytes=100)
    with budget.holding() as first, budget.holding() as second:
        first.grow_to(1)
        assert budget.held_bytes == 0
        first.grow_to(FREE_BYTES)
        assert budget.held_bytes == 0
        first.grow_to(FREE_BYTES + 40)
        first.grow_to(FREE_BYTES + 90)
        assert budget.held_bytes == 90, "what it has already it does not pay for again"
        second.grow_to(FREE_BYTES + 10)
        with pytest.raises(ApiProblem) as caught:
            second.grow_to(FREE_BYTES + 11)
        assert caught.value.status_code == 503
        # What was not read of it would be taken for the next request.
        assert caught.value.headers == {"connection": "close", "retry-after": "2"}
        assert budget.held_bytes == 100
    assert budget.held_bytes == 0


def test_a_body_that_ends_in_an_error_gives_back_what_it_took() -> None:
    budget = BodyBudget(max_bytes=100)

    def cut_off() -> None:
        with budget.holding() as share:
            share.grow_to(FREE_BYTES + 90)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        cut_off()
    assert budget.held_bytes == 0


def test_there_are_never_more_places_than_files(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [1024, 1500]
    monkeypatch.setattr(resource, "getrlimit", lambda _which: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda _which, both: limits.__setitem__(slice(None), both))
    assert places(2048) == 1500 - FILES_OF_OUR_OWN
    assert limits == [1500, 1500]
    limits[:] = [20_000, 20_000]
    assert places(2048) == 2048
    assert limits == [20_000, 20_000]
