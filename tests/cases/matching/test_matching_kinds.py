"""Kinds of what companies, providers and banks do, each a company of one book: what the run says of each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest

from tests.cases.matching import kinds_of_entries, kinds_of_lines
from tests.cases.matching.kinds import KINDS, Kind, Told

pytestmark = pytest.mark.integration

assert {each.make.__module__ for each in KINDS} == {room.__name__ for room in (kinds_of_entries, kinds_of_lines)}


@pytest.fixture(scope="module")
def answers(
    open_book: Callable[..., Any], make_case: Callable[..., Any]
) -> Iterator[dict[str, tuple[list[Told], list[Any]]]]:
    """One run over a company of every kind: its breaks, and what is left on its accounts in transit."""
    cases = []
    for number, each in enumerate(KINDS, start=1):
        case = make_case(number=number)
        each.make(case)
        cases.append(case)
    with open_book(cases) as book:
        book.load()
        result = book.reconcile(date(2026, 3, 27))
        assert "bridge_residual" not in {reason["kind"] for reason in result.reasons}
        yield {
            each.name: (
                sorted((found.break_class, found.leg, found.amount_minor) for found in book.breaks(case)),
                book.rows(
                    "select key, residue_minor from analytics.fct_clearing_residue"
                    " where role = 'in_transit' and ledger_account = :account and entries > 1",
                    account=case.code("transit"),
                ),
            )
            for each, case in zip(KINDS, cases, strict=True)
        }


@pytest.mark.parametrize("each", KINDS, ids=lambda each: each.name)
def test_a_run_says_what_is_right(answers: dict[str, tuple[list[Told], list[Any]]], each: Kind) -> None:
    found, _in_transit = answers[each.name]
    right = each.right(None)
    told = [
        (name, leg, None if any(r[:2] == (name, leg) and r[2] is None for r in right) else amount)
        for name, leg, amount in found
    ]
    assert sorted(told, key=str) == sorted(right, key=str)
    assert all(amount != 0 for _, _, amount in found), "no break is of nothing"


def test_what_stands_in_transit_under_a_payout_is_one_key(answers: dict[str, tuple[list[Told], list[Any]]]) -> None:
    assert answers["a_payout_in_transit_is_known_by_its_external_id"][1] == []
