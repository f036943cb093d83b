"""The writer's cached accounts are believed under one head alone, and only the lock may start them over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger_core.actor import Actor
from ledger_core.book.kinds import Kinds
from ledger_core.book.posting import accounts
from ledger_core.book.posting.accounts import AccountState, BookState
from ledger_core.book.posting.head import HeadRow
from ledger_core.book.posting.plan import PlannedBatch, Planner
from ledger_core.book.shaping import requests_of
from ledger_core.journal.accounts import AccountChange
from ledger_core.log.merkle import Frontier
from ledger_core.ports import Ask

HEAD = HeadRow(
    origin="o", size=3, signed_size=3, last_leaf=b"leaf", last_recorded_at=None, frontier=Frontier()
)  # fmt: skip

TIP = PlannedBatch(
    head=HEAD, size=3, leaves=[], tree=None, outcomes=[], projected={}, deltas={}, last_recorded_at=None,
    streams=[], tiles=[],
)  # fmt: skip
NO_CONNECTION: Any = None


def cached() -> BookState:
    state = BookState(book="main", missing={"assets:none"}, last_account_id=1, believed=(3, b"leaf"))
    state.accounts["assets:a"] = AccountState(1, "assets:a", "asset", "debit", "USD", "open", "allowed", {}, 0, 0, 1)
    return state


def test_they_are_kept_while_the_head_is_the_one_that_was_left() -> None:
    state = cached()
    state.believe(HEAD)
    assert (list(state.accounts), state.missing, state.last_account_id) == (["assets:a"], {"assets:none"}, 1)


@pytest.mark.parametrize("other", [replace(HEAD, size=4), replace(HEAD, last_leaf=b"other")])
def test_all_of_them_are_dropped_under_another_head(other: HeadRow) -> None:
    state = cached()
    state.believe(other)
    assert (state.accounts, state.missing, state.last_account_id, state.believed) == ({}, set(), None, None)


def test_too_many_of_them_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MAX_CACHED_ACCOUNTS", 0)
    state = cached()
    state.believe(HEAD)
    assert state.accounts == {}


def test_a_plan_made_ahead_never_reads_accounts_anew_that_the_batch_before_it_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accounts, "MAX_CACHED_ACCOUNTS", 0)
    planner = Planner("main", clock=lambda: datetime(2026, 11, 23, tzinfo=UTC))
    planner._state = cached()
    assert planner.plan_ahead(NO_CONNECTION, TIP, []) is None
    assert list(planner._state.accounts) == ["assets:a"]


def test_an_account_in_the_making_is_left_to_the_lock() -> None:
    planner = Planner("main", clock=lambda: datetime(2026, 11, 23, tzinfo=UTC))
    planner._state = cached()
    ask = Ask(actor=Actor(subject="tester"))
    requests = list(requests_of(Kinds(), [AccountChange(code="assets:a", status="frozen")], ask, atomic=True))
    assert planner.plan_ahead(NO_CONNECTION, TIP, requests) is None
    assert planner._state.accounts["assets:a"].status == "open"
