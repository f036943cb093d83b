"""How often a signature is asked for: at once by one caller after another, shared where many post."""

from __future__ import annotations

import pytest

from ledger_core.book.sequencer.pace import Pace
from ledger_core.settings.rooms import SigningSettings

PAUSE = SigningSettings().pause_seconds
SIGNING = 0.008
STEP = 0.0005


def asked_in(seconds: float, *, every: float, at_once: int = 1, pause: float = PAUSE) -> tuple[int, float]:
    """Return how many signatures `at_once` posts `every` so often ask for, and the longest that one waited to ask."""
    now = 0.0
    pace = Pace(pause, clock=lambda: now)
    asked, longest, unsigned, due, back, ready = 0, 0.0, 0, 0.0, 0.0, 0.0
    while now < seconds:
        now += STEP
        while due <= now:
            unsigned, due = unsigned + at_once, due + every
            pace.posted(at_once)
            ready = ready if unsigned > at_once else now
        if unsigned and now >= back and not pace.wait_seconds():
            pace.asked()
            longest = max(longest, now - max(ready, back))
            pace.answered(unsigned)
            asked, unsigned, back = asked + 1, 0, now + SIGNING
    return asked, longest


def test_one_caller_after_another_never_waits() -> None:
    asked, longest = asked_in(10, every=0.010)
    assert longest == 0
    assert asked >= 990


@pytest.mark.parametrize("every", [0.010, 0.020, 0.050])
def test_one_caller_after_another_never_waits_whatever_the_pause(every: float) -> None:
    assert asked_in(10, every=every, pause=0.5)[1] == 0


def test_a_caller_who_is_alone_after_a_burst_waits_once_at_most() -> None:
    now = 100.0
    pace = Pace(0.5, clock=lambda: now)
    pace.posted(1_000)
    pace.asked()
    pace.answered(1_000)
    assert pace.wait_seconds() == pytest.approx(0.5)
    pace.answered(1)
    assert pace.wait_seconds() == 0


def test_a_few_callers_do_not_wait_either() -> None:
    assert asked_in(10, every=0.010, at_once=4)[1] == 0


def test_at_a_thousand_posts_a_second_fifty_signatures_at_most_are_asked_for() -> None:
    asked, longest = asked_in(20, every=0.001)
    assert 800 <= asked <= 20 * 50
    assert longest <= PAUSE


def test_a_longer_pause_gathers_where_fewer_post() -> None:
    asked, _ = asked_in(20, every=0.040, at_once=2, pause=0.5)
    assert asked <= 60
    assert asked_in(20, every=0.100, pause=0.5)[1] == 0


def test_without_a_pause_each_is_asked_for_as_soon_as_the_one_before_is_back() -> None:
    assert asked_in(5, every=0.001, pause=0)[1] <= STEP


def test_who_posts_after_a_burst_is_over_is_signed_for_at_once() -> None:
    now = 100.0
    pace = Pace(PAUSE, clock=lambda: now)
    for _ in range(1_000):
        now += 0.001
        pace.posted(1)
    pace.asked()
    pace.answered(8)
    assert pace.wait_seconds() == pytest.approx(PAUSE)
    now += PAUSE * 1.001
    assert pace.wait_seconds() == 0
    now += 2
    pace.posted(1)
    pace.asked()
    assert pace.wait_seconds() == 0
