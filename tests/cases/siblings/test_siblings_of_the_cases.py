"""Kinds of what companies, providers and banks do, one step beside those that are known: what a run says of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from tests.cases.siblings import of_both, of_items, of_payouts, of_takings_back
from tests.cases.siblings.conftest import Sibling, Told
from tests.cases.siblings.keeping import SIBLINGS

pytestmark = pytest.mark.integration

ROOMS = (of_both, of_items, of_payouts, of_takings_back)
assert {each.make.__module__ for each in SIBLINGS} == {room.__name__ for room in ROOMS}


@dataclass(frozen=True)
class Answer:
    """What the run says of a company."""

    breaks: list[Told]
    whys: list[str]
    reasons: list[dict[str, Any]]


@pytest.fixture(scope="module")
def answers(open_book: Callable[..., Any], make_company: Callable[..., Any]) -> Iterator[dict[str, Answer]]:
    """One run over a company of every kind."""
    cases = []
    for number, each in enumerate(SIBLINGS, start=1):
        case = make_company(number=number)
        each.make(case)
        cases.append(case)
    with open_book(cases) as book:
        book.load()
        for case in cases:
            for place, (source, name, written) in enumerate(case.files):
                folder = book.folder / f"{case.account}-{place}"
                folder.mkdir()
                (folder / name).write_text(written)
                book.land(source, folder, account=case.account)
        result = book.reconcile(date(2026, 3, 27))
        assert "bridge_residual" not in {reason["kind"] for reason in result.reasons}
        yield {
            each.name: Answer(
                breaks=sorted((found.break_class, found.leg, found.amount_minor) for found in book.breaks(case)),
                whys=[str(found) for found in book.breaks(case)],
                reasons=[
                    reason
                    for reason in result.reasons
                    if case.account in (reason["account"], *reason["subject"].split()) or case.iban in reason["subject"]
                ],
            )
            for each, case in zip(SIBLINGS, cases, strict=True)
        }


@pytest.mark.parametrize("each", SIBLINGS, ids=lambda each: each.name)
def test_a_run_says_what_is_right_of_a_sibling(answers: dict[str, Answer], each: Sibling) -> None:
    answer = answers[each.name]
    print(*answer.whys, *answer.reasons, sep="\n")
    assert any(_is_answer(answer.breaks, right) for right in each.right), (answer.breaks, answer.whys)
    assert tuple(sorted({reason["kind"] for reason in answer.reasons})) == each.reasons


def _is_answer(found: list[Told], right: tuple[Told, ...]) -> bool:
    """Tell whether the breaks are those; an amount that does not count is left out of both."""
    open_amounts = {told[:2] for told in right if told[2] is None}
    plain = [(*told[:2], None if told[:2] in open_amounts else told[2]) for told in found]
    return sorted(plain, key=str) == sorted(right, key=str)
