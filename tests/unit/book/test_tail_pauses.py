"""The pause before a signature ends where somebody asks, and no signature is asked for once the tail was stopped."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from sqlalchemy import create_engine

from ledger_core.book.sequencer.link import Link
from ledger_core.book.sequencer.notary import Notary
from ledger_core.book.sequencer.tail import Tail, TailLimits

PAUSE_SECONDS = 30.0


class NoSigner:
    """A proxy that nothing is asked of here."""

    def close(self) -> None:
        pass


def pausing_tail() -> Tail:
    """A tail whose next signature waits for others to share it."""
    tail = Tail(
        engine=create_engine("postgresql+psycopg://nobody@127.0.0.1:9/none"),
        book="main",
        notary=Notary("main", "ledger.example/test/main", NoSigner()),  # type: ignore[arg-type]
        limits=TailLimits(max_seconds=2 * PAUSE_SECONDS, max_records=1_000, pause_seconds=PAUSE_SECONDS),
        changed=threading.Condition(),
        stop=lambda error: pytest.fail(str(error)),
    )
    tail._pace.posted(1_000_000)
    tail._pace.answered(1_000)
    tail._pace.asked()
    tail.add(1_000, 0, [], appended=True)
    return tail


def begin(tail: Tail) -> threading.Thread:
    thread = threading.Thread(target=tail.run, daemon=True)
    thread.start()
    time.sleep(0.2)
    return thread


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When a signature was about to be asked for."""
    found: list[float] = []
    open_ = Link.open

    def look(link: Link) -> Any:
        found.append(time.monotonic())
        return open_(link)

    monkeypatch.setattr(Link, "open", look)
    return found


def test_whoever_asks_for_a_signature_ends_the_pause(opened: list[float]) -> None:
    tail = pausing_tail()
    thread = begin(tail)
    assert not opened
    tail.ask()
    deadline = time.monotonic() + 10
    while not opened and time.monotonic() < deadline:
        time.sleep(0.01)
    assert opened
    tail.drain()
    thread.join(10)
    assert not thread.is_alive()


def test_a_tail_that_is_stopped_in_its_pause_asks_for_nothing_more(opened: list[float]) -> None:
    tail = pausing_tail()
    thread = begin(tail)
    tail.drain()
    thread.join(10)
    assert not thread.is_alive()
    assert not opened
