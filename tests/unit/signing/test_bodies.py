"""The budget of the proxy's requests: what is free, what is shared, and that it comes back."""

from __future__ import annotations

import pytest

from ledger_core.errors import DependencyError
from ledger_core.signing.bodies import BodyBudget, Share


def test_a_share_takes_what_is_beyond_its_free_part_and_a_budget_that_is_spent_says_so() -> None:
    budget = BodyBudget(max_bytes=100_000)
    one, other = Share(budget), Share(budget)
    assert len(one.read(lambda count: b"x" * count, 64 * 1024)) == 64 * 1024
    assert budget.held_bytes == 0
    one.give_back()
    assert len(one.read(lambda count: b"x" * count, 64 * 1024 + 100_000)) == 165_536
    assert budget.held_bytes == 100_000
    with pytest.raises(DependencyError, match="at once"):
        other.read(lambda count: b"x" * count, 64 * 1024 + 1)
    other.give_back()
    assert budget.held_bytes == 100_000
    one.give_back()
    assert budget.held_bytes == 0
    parts = iter([b"ab", b"c", b""])
    assert other.read(lambda _: next(parts), 10) == b"abc"
