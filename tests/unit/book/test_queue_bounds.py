"""What waits in a process is bounded, in records and in bytes; what the writer keeps of accounts is, too."""

from __future__ import annotations

import threading

import pytest

from ledger_core.actor import Actor
from ledger_core.book.kinds import Kinds
from ledger_core.book.posting.accounts import MAX_CACHED_METADATA_BYTES, AccountState, BookState
from ledger_core.book.posting.head import HeadRow
from ledger_core.book.posting.requests import Request
from ledger_core.book.sequencer import queue
from ledger_core.book.sequencer.queue import MAX_QUEUED_BYTES, RequestQueue
from ledger_core.book.shaping import requests_of
from ledger_core.errors import TooManyRequests
from ledger_core.journal.accounts import AccountChange, AccountOpening, account_draft
from ledger_core.log.merkle import Frontier
from ledger_core.ports import Ask, Draft
from ledger_core.settings import MAX_BATCH_BYTES

ME = Actor(subject="tester")
LARGE = {f"m{number}": "x" * 8_000 for number in range(8)}


def request(size: int) -> Request:
    return Request(items=[], route="r", bytes=size)


def test_bytes_that_wait_are_bounded_and_what_was_taken_makes_room() -> None:
    waiting = RequestQueue(threading.Condition())
    parts = MAX_QUEUED_BYTES // MAX_BATCH_BYTES
    for _ in range(parts):
        waiting.put(request(MAX_BATCH_BYTES))
    with pytest.raises(TooManyRequests, match=r"bytes wait already; 33,554,432 are the most"):
        waiting.put(request(1))
    assert len(waiting.take()) == 1
    waiting.put(request(MAX_BATCH_BYTES))
    with pytest.raises(TooManyRequests):
        waiting.put(request(MAX_BATCH_BYTES))


def test_one_request_is_taken_whatever_it_holds_and_a_refused_one_keeps_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "MAX_QUEUED_BYTES", 10)
    waiting = RequestQueue(threading.Condition())
    waiting.put(request(100))
    keyed = Request(items=[], route="r", bytes=1, key="k")
    for _ in range(2):
        with pytest.raises(TooManyRequests):
            waiting.put(keyed)
    waiting.take()
    waiting.put(keyed)


@pytest.mark.parametrize(
    "draft",
    [
        account_draft(code="a:b", type="asset", currency="USD", metadata=LARGE),
        AccountOpening(account=account_draft(code="a:b", type="asset", currency="USD", metadata=LARGE)),
        AccountChange(code="a:b", metadata=LARGE),
    ],
)
def test_an_account_counts_for_what_it_says_though_its_body_is_not_known_yet(draft: Draft) -> None:
    parts = list(requests_of(Kinds(), [draft] * 200, Ask(actor=ME), atomic=False))
    assert sum(len(part.items) for part in parts) == 200
    assert len(parts) == 4
    for part in parts:
        assert 64_000 * len(part.items) < part.bytes <= MAX_BATCH_BYTES


def test_accounts_with_much_to_say_are_dropped_before_they_fill_the_memory() -> None:
    head = HeadRow(origin="o", size=3, signed_size=3, last_leaf=b"l", last_recorded_at=None, frontier=Frontier())
    state = BookState(book="main", believed=(3, b"l"))
    needed = MAX_CACHED_METADATA_BYTES // 64_000 + 1
    for number in range(needed):
        assert state.believes(head)
        state.keep(AccountState(number, f"a:{number}", "asset", "debit", "USD", "open", "allowed", LARGE, 0, 0, 1))
    assert not state.believes(head)
    state.believe(head)
    assert (state.accounts, state.metadata_bytes) == ({}, 0)
