"""How often the key is asked: by each of a few, once for many, and never later than the tail allows."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median
from typing import Any

import pytest

from ledger_core.actor import Actor
from ledger_core.book.ledger import Ledger
from ledger_core.files.chart import apply_accounts
from ledger_core.journal.accounts import AccountDraft
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.ports import Ask
from ledger_core.runtime import Runtime
from ledger_core.settings.rooms import LedgerSettings, SigningSettings

pytestmark = pytest.mark.integration

ACTOR = Actor(subject="tester")
CHART = [
    AccountDraft(code=code, type="asset", currency="USD", normal_balance="debit") for code in ("assets:a", "assets:b")
]
PAUSE = 0.5

Opener = Callable[..., Ledger]


class CountingSigner:
    """The real proxy, and when it was asked."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.asked_at: list[float] = []

    def latest(self, origin: str) -> str | None:
        return self.real.latest(origin)  # type: ignore[no-any-return]

    def close(self) -> None:
        self.real.close()

    def sign_checkpoint(self, **asked: Any) -> str:
        self.asked_at.append(time.monotonic())
        return self.real.sign_checkpoint(**asked)  # type: ignore[no-any-return]


@pytest.fixture
def signer(runtime: Runtime) -> CountingSigner:
    return CountingSigner(runtime.signer)


@pytest.fixture
def opened(runtime: Runtime, signer: CountingSigner) -> Iterator[Opener]:
    """Open the book as a process with a pause, and a tail, of its own."""
    apply_accounts(runtime.ledger(), CHART, Ask(actor=ACTOR))
    made: list[Ledger] = []

    def open_(*, max_records: int = 10_000, pause: float = PAUSE) -> Ledger:
        settings = runtime.settings.model_copy(
            update={
                "ledger": LedgerSettings(unsigned_tail_max_seconds=60.0, unsigned_tail_max_records=max_records),
                "signing": SigningSettings(pause_seconds=pause),
            }
        )
        made.append(
            Ledger(
                engine=runtime.engine,
                signer=signer,  # type: ignore[arg-type]
                settings=settings,
                book="main",
                kinds=runtime.kinds,
                clock=runtime.clock,
            )
        )
        made[-1].append([entry("first")], Ask(actor=ACTOR))
        signer.asked_at.clear()
        return made[-1]

    yield open_
    for ledger in made:
        ledger.close()


def entry(external_id: str) -> EntryDraft:
    return EntryDraft(
        effective_at=datetime(2026, 11, 23, 8, tzinfo=UTC),
        external_id=external_id,
        description="",
        postings=tuple(
            PostingDraft(account=code, direction=side, amount_minor=1, currency="USD")
            for code, side in (("assets:a", "debit"), ("assets:b", "credit"))
        ),
    )


def post(ledger: Ledger, callers: int, each: int, *, in_one: int = 1) -> float:
    """Have `callers` post one after another `each` times; return the seconds."""
    run = uuid.uuid4().hex

    def call(caller: int) -> None:
        for turn in range(each):
            entries = [entry(f"{run}:{caller}:{turn}:{number}") for number in range(in_one)]
            assert ledger.append(entries, Ask(actor=ACTOR)).checkpoint is not None

    started = time.monotonic()
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(call, range(callers)))
    return time.monotonic() - started


def test_who_posts_one_after_another_has_a_signature_for_each_without_a_pause(
    opened: Opener, signer: CountingSigner
) -> None:
    # Four signatures in each pause are fewer than are worth it.
    ledger = opened(pause=SigningSettings().pause_seconds)
    assert post(ledger, callers=1, each=40) < 40 * 0.5
    assert len(signer.asked_at) == 40


def test_many_share_their_signatures_with_a_pause_between_them(opened: Opener, signer: CountingSigner) -> None:
    ledger = opened()
    seconds = post(ledger, callers=40, each=5)
    asked = signer.asked_at
    # Two hundred posts: those of the first moments, before it is known that many come, and then one a pause.
    assert len(asked) <= 5 + seconds / PAUSE
    between = [later - earlier for earlier, later in pairwise(asked)]
    assert sum(gap >= PAUSE * 0.95 for gap in between) >= 3


def test_a_pause_ends_when_the_tail_is_full(opened: Opener, signer: CountingSigner) -> None:
    ledger = opened(max_records=20)
    post(ledger, callers=40, each=5, in_one=10)
    between = [later - earlier for earlier, later in pairwise(signer.asked_at)]
    assert len(between) >= 5
    assert median(between) < PAUSE / 2


def test_a_pause_ends_when_the_book_is_closed(opened: Opener, signer: CountingSigner) -> None:
    ledger = opened(pause=1.0)
    posting = threading.Thread(target=post, args=(ledger, 40, 1))
    posting.start()
    posting.join()
    ask = threading.Thread(target=post, args=(ledger, 1, 1), kwargs={"in_one": 2})
    before = len(signer.asked_at)
    ask.start()
    while ledger._sequencer._tail._pace.wait_seconds() > 0.9 or not ledger._sequencer._tail._unsigned:
        assert ask.is_alive(), "nothing waits for a pause"
        time.sleep(0.001)
    started = time.monotonic()
    ledger.close()
    assert time.monotonic() - started < 0.7
    ask.join(5)
    assert len(signer.asked_at) == before + 1
