"""The pause between signatures: for those who share them, and for nobody who posts alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ledger_core.actor import Actor
from ledger_core.book.ledger import Ledger
from ledger_core.ports import Ask, RecordDraft
from ledger_core.runtime import Runtime

pytestmark = pytest.mark.integration

ASK = Ask(actor=Actor(subject="tester"))
PAUSE_SECONDS = 1.0
CALLERS = 16
SECONDS = 3.0


class Counting:
    """The real proxy, counted."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.signatures = 0

    def latest(self, origin: str) -> str | None:
        found: str | None = self.real.latest(origin)
        return found

    def close(self) -> None:
        self.real.close()

    def sign_checkpoint(self, **asked: Any) -> str:
        self.signatures += 1
        found: str = self.real.sign_checkpoint(**asked)
        return found


@pytest.fixture
def signer(runtime: Runtime) -> Counting:
    return Counting(runtime.signer)


@pytest.fixture
def ledger(runtime: Runtime, signer: Counting) -> Iterator[Ledger]:
    """A book that waits a second for others to share a signature."""
    runtime.ledger("main")
    signing = runtime.settings.signing.model_copy(update={"pause_seconds": PAUSE_SECONDS})
    settings = runtime.settings.model_copy(update={"signing": signing})
    ledger = Ledger(
        engine=runtime.engine, signer=signer, settings=settings, book="main", kinds=runtime.kinds,  # type: ignore[arg-type]
        clock=runtime.clock,
    )  # fmt: skip
    yield ledger
    ledger.close()


def post(ledger: Ledger, what: str) -> float:
    """Append one record and return how long its answer took."""
    started = time.monotonic()
    ledger.append([RecordDraft(kind="security_event", body={"what": what})], ASK)
    return time.monotonic() - started


def test_who_posts_alone_never_waits_for_others(ledger: Ledger, signer: Counting) -> None:
    waits = [post(ledger, f"alone {number}") for number in range(60)]
    assert signer.signatures >= 60
    assert max(waits) < PAUSE_SECONDS / 2, waits


def test_many_callers_share_their_signatures(ledger: Ledger, signer: Counting) -> None:
    until = time.monotonic() + SECONDS

    def post_on(caller: int) -> int:
        done = 0
        while time.monotonic() < until:
            post(ledger, f"{caller} {done}")
            done += 1
        return done

    with ThreadPoolExecutor(CALLERS) as callers:
        posted = sum(callers.map(post_on, range(CALLERS)))
    assert posted >= 3 * CALLERS
    assert signer.signatures <= SECONDS / PAUSE_SECONDS + 8, f"{posted} posts"
