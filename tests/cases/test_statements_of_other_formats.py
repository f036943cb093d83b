"""MT940 and BAI2 by the same rules as camt.053, and the same account in two of them; one build."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import cache

import pytest

from tests.cases.conftest import Line, Outcome, Page
from tests.fixtures.bank_formats import Entry, Statement, bai2, mt940

pytestmark = pytest.mark.integration

DAY = date(2026, 3, 5)
NEXT = date(2026, 3, 6)
ONE = Entry(minor=4825, booked_on=DAY, text="STRIPE one", end_to_end="po_1one")
TWO = Entry(minor=9680, booked_on=DAY, text="STRIPE two")
THREE = Entry(minor=-700, booked_on=NEXT, text="rent")
FIRST = Statement(account="IBAN_HERE", opening=1000, day=DAY, entries=(ONE,), number=5)
WHOLE = replace(FIRST, entries=(ONE, TWO))
SECOND = FIRST.then(THREE)
PAGES = (
    replace(FIRST, page=1, last=False),
    replace(FIRST, page=2, first=False, opening=FIRST.closing, entries=(TWO,)),
)
BOTH = [(4825, "STRIPE one"), (9680, "STRIPE two")]
AND_RENT = [BOTH[0], (-700, "rent")]
CAMT = Page(day="2026-03-05", opening=1000, number=5, lines=[Line(minor=4825, text="STRIPE one")])


def swift(*statements: Statement) -> str:
    return mt940(*statements, newline="\n").decode("latin-1")


def us(*statements: Statement, created: str = "260306,0600", **changes: str) -> str:
    return bai2(*statements, created=created, **changes).decode("latin-1")


def summed(*entries: Entry) -> Entry:
    """Return entries as a bank states them that books a batch in one sum."""
    return Entry(minor=sum(each.minor for each in entries), booked_on=DAY, text="STRIPE batch")


# Name: (files, lines that count, kinds of reasons)
TABLE: dict[str, tuple[list[Page | str], list[tuple[int, str]], set[str]]] = {
    # MT940 alone.
    "swift": ([swift(FIRST), swift(SECOND)], AND_RENT, set()),
    "swift-in-one-file": ([swift(FIRST, SECOND)], AND_RENT, set()),
    "swift-pages": ([swift(*PAGES)], BOTH, set()),
    "swift-pages-in-files-of-their-own": ([swift(each) for each in PAGES], BOTH, set()),
    "swift-without-its-last-page": ([swift(PAGES[0])], BOTH[:1], {"statement_page"}),
    "swift-without-its-first-page": ([swift(PAGES[1])], BOTH[1:], {"statement_page"}),
    "swift-pages-that-do-not-link": (
        [swift(PAGES[0], replace(PAGES[1], opening=PAGES[1].opening + 1))],
        BOTH,
        {"statement_page"},
    ),
    "swift-a-number-is-missing": ([swift(FIRST), swift(replace(SECOND, number=7))], AND_RENT, {"statement_sequence"}),
    "swift-a-balance-is-missing": (
        [swift(FIRST), swift(replace(SECOND, opening=SECOND.opening + 5))],
        AND_RENT,
        {"statement_balance"},
    ),
    "swift-a-sum-is-wrong": ([swift(replace(FIRST, off=1))], BOTH[:1], {"control_total"}),
    "swift-twice": ([swift(FIRST), swift(replace(FIRST, id="COPY", number=0))], BOTH[:1], set()),
    "swift-without-numbers": ([swift(replace(FIRST, number=0)), swift(replace(SECOND, number=0))], AND_RENT, set()),
    "swift-reversal": (
        [swift(replace(FIRST, entries=(ONE, replace(ONE, minor=-ONE.minor, reversal=True), TWO)))],
        BOTH[1:],
        set(),
    ),
    "swift-announced": (
        [swift(replace(FIRST, entries=(ONE,))).replace(":62F", ":61:2603060306EC7,NTRFX\n:62F")],
        BOTH[:1],
        set(),
    ),
    "swift-valued-elsewhen": (
        # Without a day of its own it is booked within its statement.
        [swift(replace(FIRST, entries=(replace(ONE, value_on=date(2026, 2, 1)),))).replace("2602010305", "260201")],
        BOTH[:1],
        set(),
    ),
    # BAI2 alone.
    "us": ([us(FIRST), us(SECOND, created="260307,0600")], AND_RENT, set()),
    "us-two-days-in-one-file": ([us(FIRST, SECOND, created="260307,0600")], AND_RENT, set()),
    "us-sent-again": ([us(FIRST), us(WHOLE, created="260306,0900")], BOTH, set()),
    "us-sent-again-with-less": ([us(WHOLE), us(FIRST, created="260306,0900")], BOTH[:1], set()),
    "us-older-lands-last": ([us(WHOLE, created="260306,0900"), us(FIRST)], BOTH, set()),
    "us-corrected": ([us(FIRST), us(WHOLE, created="260306,0900", status="3")], BOTH, set()),
    "us-interim-then-final": ([us(FIRST, modifier="1"), us(WHOLE, created="260306,0900")], BOTH, set()),
    "us-twice-in-one-file": (
        [us(FIRST, replace(FIRST, opening=FIRST.closing, entries=(TWO,)))],
        BOTH,
        set(),
    ),
    "us-a-sum-is-wrong": ([us(replace(FIRST, off=1))], BOTH[:1], {"control_total"}),
    "us-a-trailer-is-wrong": ([us(FIRST).replace("\n98,", "\n98,1")], BOTH[:1], {"control_total"}),
    "us-no-balances": (
        [
            "01,BANK,US,260306,0600,7,,,2/\n02,US,BANK,1,260305,,EUR,2/\n03,IBAN_HERE,,045,7,,/\n"
            "16,165,4825,0,,,STRIPE one\n49,4832,3/\n98,4832,1,5/\n99,4832,1,7/\n"
        ],
        BOTH[:1],
        {"statement_balance"},
    ),
    "us-a-remark": ([us(FIRST, remark="STRIPE says hello")], BOTH[:1], set()),
    "us-reversal": (
        [us(replace(FIRST, entries=(ONE, replace(ONE, minor=-ONE.minor, reversal=True), TWO)))],
        BOTH[1:],
        set(),
    ),
    # The same account in two.
    "iso-and-swift": ([CAMT, swift(FIRST)], BOTH[:1], set()),
    "iso-and-swift-by-another-number": ([replace(CAMT, number=61), swift(FIRST)], BOTH[:1], set()),
    "iso-and-swift-sums": (
        [
            replace(CAMT, lines=[Line(minor=4825, text="STRIPE one"), Line(minor=9680, text="STRIPE two")]),
            swift(replace(FIRST, entries=(summed(ONE, TWO),))),
        ],
        BOTH,
        set(),
    ),
    "iso-and-swift-sums-by-another-number": (
        [
            replace(CAMT, number=61, lines=[Line(minor=4825, text="STRIPE one"), Line(minor=9680, text="STRIPE two")]),
            swift(replace(FIRST, entries=(summed(ONE, TWO),))),
        ],
        BOTH,
        set(),
    ),
    "iso-and-us": ([CAMT, us(FIRST)], BOTH[:1], set()),
    "swift-and-us": ([swift(FIRST), us(FIRST)], BOTH[:1], set()),
    "swift-and-us-sums": ([swift(replace(FIRST, entries=(summed(ONE, TWO),))), us(WHOLE)], BOTH, set()),
    "swift-pages-and-us": ([swift(*PAGES), us(WHOLE)], BOTH, set()),
    "swift-and-us-on-a-quiet-day": ([swift(replace(FIRST, entries=())), us(replace(FIRST, entries=()))], [], set()),
    "iso-and-swift-on-a-quiet-day-by-another-number": (
        [replace(CAMT, number=61, lines=[]), swift(replace(FIRST, entries=()))],
        [],
        set(),
    ),
    "iso-then-swift-by-another-count": ([replace(CAMT, number=200), swift(replace(SECOND, number=6))], AND_RENT, set()),
    "swift-one-day-us-the-next": ([swift(FIRST), us(SECOND, created="260307,0600")], AND_RENT, set()),
    "swift-and-us-disagree": ([swift(FIRST), us(WHOLE)], [BOTH[0], *BOTH], {"statement_balance"}),
    "swift-and-us-in-other-currencies": ([swift(FIRST), us(replace(FIRST, currency="USD"))], [BOTH[0], BOTH[0]], set()),
}  # fmt: skip


@pytest.fixture(scope="module")
def table(outcomes: Callable[..., dict[str, Outcome]]) -> Callable[[bool], dict[str, Outcome]]:
    scenarios = {name: files for name, (files, _, _) in TABLE.items()}
    return cache(lambda reverse: outcomes(scenarios, reverse=reverse))


@pytest.fixture(scope="module")
def landed(table: Callable[[bool], dict[str, Outcome]]) -> dict[str, Outcome]:
    return table(False)


@pytest.mark.parametrize("name", TABLE)
def test_each_line_counts_once_and_what_is_wrong_is_said(landed: dict[str, Outcome], name: str) -> None:
    _, lines, reasons = TABLE[name]
    outcome = landed[name]
    assert (sorted(outcome.counted), outcome.reasons) == (sorted(lines), reasons), outcome.details


def test_every_page_counts_or_says_what_replaced_it(landed: dict[str, Outcome]) -> None:
    for name, outcome in landed.items():
        for _, _, is_current, because in outcome.pages:
            assert is_current == (because is None), name


def test_of_two_formats_the_one_that_says_when_it_was_made_stands(landed: dict[str, Outcome]) -> None:
    standing = {
        (name, id_) for name, outcome in landed.items() for id_, _, is_current, _ in outcome.pages if is_current
    }
    assert {(name, id_) for name, id_ in standing if name.startswith(("iso-and", "swift-and-us-sums"))} == {
        *((name, "S") for name in TABLE if name.startswith("iso-and")),
        ("swift-and-us-sums", "BANK"),
    }


def test_landing_order_decides_nothing(table: Callable[[bool], dict[str, Outcome]]) -> None:
    forwards, backwards = table(False), table(True)
    for name in TABLE:
        assert forwards[name].counted == backwards[name].counted, name
        assert forwards[name].reasons == backwards[name].reasons, name
        assert forwards[name].pages == backwards[name].pages, name


def test_a_reference_of_the_payer_is_found_in_every_format(landed: dict[str, Outcome]) -> None:
    for name in ("swift", "us"):
        assert ("reference", "po_1one") in landed[name].texts
