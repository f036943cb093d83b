"""Which statements count and what is wrong with them: deliveries, pages, copies, numbers, balances; one build."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import cache

import pytest

from tests.cases.conftest import Line, Outcome, Page

pytestmark = pytest.mark.integration

ONE, TWO, THREE = (
    Line(minor=4825, text="STRIPE one"),
    Line(minor=9680, text="STRIPE two"),
    Line(minor=-700, text="rent"),
)
FIRST = Page(day="2026-03-05", opening=1000, lines=[ONE], id="S5", number=5)
QUIET = Page(day="2026-03-05", opening=1000, id="STMT")
LATER = "2026-03-05T23:30:00Z"


def _pages(**changes: object) -> tuple[Page, Page]:
    """Return a statement of two pages with an interim balance between them."""
    first = replace(FIRST, page=1, last=False, closing_code="ITBD", **changes)
    return first, replace(
        first, page=2, last=True, opening=first.ends, opening_code="ITBD", closing_code="CLBD", lines=[TWO]
    )


def _whole() -> Page:
    return replace(FIRST, lines=[ONE, TWO])


# Name: (files, lines that count, kinds of reasons)
BOTH = [(4825, "STRIPE one"), (9680, "STRIPE two")]
TABLE: dict[str, tuple[list[Page], list[tuple[int, str]], set[str]]] = {
    # One statement, delivered several times.
    "delivered-again": ([FIRST, replace(FIRST, made=LATER, lines=[ONE, TWO])], BOTH, set()),
    "delivered-again-without-a-line": ([_whole(), replace(FIRST, made=LATER)], BOTH[:1], set()),
    "older-lands-last": ([replace(FIRST, made=LATER, lines=[ONE, TWO]), FIRST], BOTH, set()),
    "sent-later-made-alike": ([FIRST, replace(FIRST, sent=LATER, lines=[ONE, TWO])], BOTH, set()),
    "made-in-another-zone": (
        # 21:30+02:00 is before 20:00Z.
        [replace(FIRST, made="2026-03-05T21:30:00+02:00", lines=[]), FIRST],
        BOTH[:1],
        set(),
    ),
    "three-deliveries": (
        [FIRST, replace(FIRST, made=LATER, lines=[TWO]), replace(FIRST, made="2026-03-06T08:00:00Z", lines=[ONE, TWO])],
        BOTH,
        set(),
    ),
    "new-id-same-number": ([FIRST, replace(FIRST, id="S5-R1")], BOTH[:1], set()),
    "new-id-same-number-corrected": ([FIRST, replace(FIRST, id="S5-R1", made=LATER, lines=[ONE, TWO])], BOTH, set()),
    "new-id-legal-number": (
        [replace(FIRST, number=None, legal=5), replace(FIRST, number=None, legal=5, id="R", made=LATER)],
        BOTH[:1],
        set(),
    ),
    "new-id-no-number": (
        [replace(FIRST, number=None), replace(FIRST, number=None, id="X", made=LATER)],
        BOTH[:1],
        set(),
    ),
    "says-it-is-a-copy": (
        [replace(FIRST, number=None), replace(FIRST, number=9, id="X", made=LATER, copy="DUPL")],
        BOTH[:1],
        set(),
    ),
    "copy-of-a-copy": (
        [replace(FIRST, id=f"C{place}", number=None, copy=word) for place, word in enumerate((None, "CODU", "COPY"))],
        BOTH[:1],
        set(),
    ),
    "copy-without-original": ([replace(FIRST, copy="DUPL")], BOTH[:1], set()),
    "contradiction": ([FIRST, replace(FIRST, lines=[TWO])], None, {"statement_overlap"}),
    # Ids that say nothing.
    "constant-id": (
        [QUIET, QUIET.then("2026-03-06", [ONE]), QUIET.then("2026-03-06", [ONE]).then("2026-03-09", [TWO])],
        BOTH,
        set(),
    ),
    "constant-id-in-one-day": (
        [
            replace(QUIET, lines=[ONE], made="2026-03-05T12:00:00Z"),
            replace(QUIET, lines=[ONE]).then("2026-03-05", [TWO], made="2026-03-05T18:00:00Z"),
        ],
        BOTH,
        set(),
    ),
    "yearly-id": (
        [
            Page(day="2025-01-06", opening=0, lines=[ONE], id="00001", number=1),
            Page(day="2026-01-06", opening=4825, lines=[TWO], id="00001", number=1),
        ],
        BOTH,
        set(),
    ),
    "constant-number": (
        [replace(FIRST, number=1), replace(FIRST, number=1).then("2026-03-06", [TWO], number=1, id="S6")],
        BOTH,
        set(),
    ),
    "two-currencies-one-iban": (
        [replace(FIRST, number=None), replace(FIRST, number=None, currency="USD", lines=[TWO])],
        BOTH,
        set(),
    ),
    # Pages.
    "two-pages": ([*_pages(), _whole().then("2026-03-06")], BOTH, set()),
    "two-pages-as-one": ([*_pages(), _whole()], BOTH, set()),
    "two-pages-as-one-later": ([*_pages(), replace(_whole(), made=LATER)], BOTH, set()),
    "one-as-two-pages": ([FIRST, *_pages(made=LATER)], BOTH, set()),
    "pages-made-one-by-one": ([_pages(made="2026-03-05T20:00:05Z")[0], _pages()[1]], BOTH, set()),
    "second-page-sent-again": ([*_pages(), replace(_pages()[1], made=LATER, lines=[])], BOTH[:1], set()),
    "three-pages-corrected-as-two": (
        [
            _pages()[0],
            replace(_pages()[1], last=False, closing_code="ITBD"),
            replace(_pages()[1], page=3, opening=_pages()[1].ends, lines=[THREE]),
            *_pages(made=LATER),
        ],
        BOTH,
        set(),
    ),
    "last-page-missing": ([_pages()[0]], BOTH[:1], {"statement_page"}),
    "first-page-missing": ([_pages()[1]], BOTH[1:], {"statement_page"}),
    "page-in-the-middle-missing": (
        [_pages()[0], replace(_pages()[1], page=3)],
        BOTH,
        {"statement_page"},
    ),
    "pages-that-do-not-link": ([_pages()[0], replace(_pages()[1], opening=7000)], BOTH, {"statement_page"}),
    "interim-balance-in-a-whole": ([replace(_whole(), closing_code="CLBD", opening_code="PRCD")], BOTH, set()),
    # Balances and numbers.
    "no-closing": ([replace(FIRST, closing_code=None)], BOTH[:1], {"statement_balance"}),
    "no-opening": ([replace(FIRST, opening_code=None)], BOTH[:1], {"statement_balance"}),
    "no-balance": ([replace(FIRST, opening_code=None, closing_code=None)], BOTH[:1], {"statement_balance"}),
    "day-missing-no-numbers": (
        [replace(FIRST, number=None), replace(FIRST, number=None, id="S9").then("2026-03-09", [TWO], opening=1)],
        BOTH,
        {"statement_balance"},
    ),
    "number-missing": ([FIRST, FIRST.then("2026-03-09", [TWO], number=7)], BOTH, {"statement_sequence"}),
    "legal-number-missing": (
        [
            replace(FIRST, number=None, legal=11),
            replace(FIRST, number=None, legal=11).then("2026-03-09", [TWO], legal=13),
        ],
        BOTH,
        {"statement_sequence"},
    ),
    "legal-number-continues": (
        [replace(FIRST, legal=11), replace(FIRST, legal=11).then("2026-03-09", [TWO], number=8)],
        BOTH,
        set(),
    ),
    "new-year-at-one": (
        [replace(FIRST, day="2025-12-31", number=250), replace(FIRST, number=250).then("2026-01-02", [TWO], number=1)],
        BOTH,
        set(),
    ),
    "new-year-at-three": (
        [replace(FIRST, day="2025-12-31", number=250), replace(FIRST, number=250).then("2026-01-02", [TWO], number=3)],
        BOTH,
        {"statement_sequence"},
    ),
    "new-year-with-the-year": (
        [
            replace(FIRST, day="2025-12-31", number=2025250),
            replace(FIRST, number=1).then("2026-01-02", [TWO], number=2026001),
        ],
        BOTH,
        set(),
    ),
    "numbers-over-all-accounts": (
        [
            replace(page, number=500 + 2 * place + offset, **other)
            for place, page in enumerate(
                [FIRST, FIRST.then("2026-03-06", [TWO]), FIRST.then("2026-03-06", [TWO]).then("2026-03-09")]
            )
            for offset, other in ((0, {}), (1, {"iban": "FR7630006000011234567890189", "lines": [], "opening": 70}))
        ],
        BOTH,
        set(),
    ),
    "number-missing-over-all-accounts": (
        [
            FIRST,
            replace(FIRST, number=6, iban="FR7630006000011234567890180", lines=[]),
            FIRST.then("2026-03-06", [TWO], number=8),
        ],
        BOTH,
        {"statement_sequence"},
    ),
    "wrong-total": ([replace(FIRST, closing=9999)], BOTH[:1], {"control_total"}),
    "wrong-total-corrected": ([replace(FIRST, closing=9999), replace(FIRST, made=LATER)], BOTH[:1], set()),
    "days-twice": (
        [
            replace(FIRST, number=None),
            replace(FIRST, number=None, id="M").then("2026-03-06", [ONE, TWO], opening=1000, starts="2026-03-01"),
        ],
        [(4825, "STRIPE one"), (4825, "STRIPE one"), (9680, "STRIPE two")],
        {"statement_overlap"},
    ),
    # The cut.
    "after-the-day": ([FIRST, FIRST.then("2026-03-25", [TWO], number=9, opening=1)], BOTH[:1], set()),
    "after-the-day-ill": ([FIRST, replace(FIRST.then("2026-03-25", [TWO]), closing=1)], BOTH[:1], set()),
    "older-version-after-the-day": (
        [FIRST, replace(FIRST, made="2026-04-01T08:00:00Z", lines=[ONE, TWO])],
        BOTH,
        set(),
    ),
    "month-that-goes-on": (
        [
            replace(
                FIRST,
                day="2026-03-31",
                starts="2026-03-01",
                lines=[replace(ONE, day="2026-03-05"), replace(TWO, day="2026-03-25")],
            )
        ],
        BOTH[:1],
        set(),
    ),
    "announced": ([replace(FIRST, lines=[ONE, replace(TWO, status="PDNG")])], BOTH[:1], set()),
}


@pytest.fixture(scope="module")
def table(outcomes: Callable[..., dict[str, Outcome]]) -> Callable[[bool], dict[str, Outcome]]:
    """Land everything in the table, in its order or the other way round: once each."""
    return cache(lambda reverse: outcomes({name: files for name, (files, _, _) in TABLE.items()}, reverse=reverse))


@pytest.fixture(scope="module", params=[False, True], ids=["in-order", "reversed"])
def landed(request: pytest.FixtureRequest, table: Callable[[bool], dict[str, Outcome]]) -> dict[str, Outcome]:
    return table(request.param)


@pytest.mark.parametrize("name", TABLE)
def test_each_line_counts_once_and_what_is_wrong_is_said(landed: dict[str, Outcome], name: str) -> None:
    _, lines, reasons = TABLE[name]
    outcome = landed[name]
    assert outcome.reasons == reasons, outcome.details
    if lines is not None:
        assert sorted(outcome.counted) == sorted(lines), outcome.pages


def test_every_page_counts_or_says_what_replaced_it(landed: dict[str, Outcome]) -> None:
    for name, outcome in landed.items():
        pages = sum(date.fromisoformat(page.starts or page.day) <= date(2026, 3, 20) for page in TABLE[name][0])
        assert len(outcome.pages) == pages, name
        assert all((why is None) == counts for _, _, counts, why in outcome.pages), name


def test_landing_order_decides_nothing(table: Callable[[bool], dict[str, Outcome]]) -> None:
    assert table(False) == table(True)
