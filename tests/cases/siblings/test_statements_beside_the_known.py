"""Statements one step beside the known ones: other banks' ids, numbers, pages and corrections; one build for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest

from tests.cases.conftest import Line, Outcome, Page

pytestmark = pytest.mark.integration

ONE, TWO, THREE = (
    Line(minor=4825, text="STRIPE one"),
    Line(minor=9680, text="STRIPE two"),
    Line(minor=-700, text="rent"),
)
FIRST = Page(day="2026-03-05", opening=1000, lines=[ONE], id="S5", number=5)
LATER, LATEST = "2026-03-05T23:30:00Z", "2026-03-06T07:00:00Z"
BOTH = [(4825, "STRIPE one"), (9680, "STRIPE two")]
OTHER = "FR7630006000011234567890"


def pages_of_three(**changes: object) -> list[Page]:
    """Return a statement of three pages, a line on each."""
    first = replace(FIRST, page=1, last=False, closing_code="ITBD", **changes)
    second = replace(first, page=2, opening=first.ends, opening_code="ITBD", lines=[TWO])
    third = replace(second, page=3, opening=second.ends, lines=[THREE], last=True, closing_code="CLBD")
    return [first, second, third]


@dataclass(frozen=True, kw_only=True)
class Batch(Line):
    """An entry of several details, each with an amount of its own."""

    parts: Sequence[tuple[int, str]] = ()

    def xml(self, day: str) -> str:
        plain = Line(minor=self.minor, text="", reversal=self.reversal).xml(day)
        before, after = plain.split("<NtryDtls>")[0], plain.split("</NtryDtls>")[1]
        side = "CRDT" if self.minor >= 0 else "DBIT"
        details = "".join(
            f'<TxDtls><Amt Ccy="EUR">{minor // 100}.{minor % 100:02}</Amt><CdtDbtInd>{side}</CdtDbtInd>'
            f"<RmtInf><Ustrd>{said}</Ustrd></RmtInf></TxDtls>"
            for minor, said in self.parts
        )
        return f"{before}<NtryDtls>{details}</NtryDtls>{after}"


def _on(day: str, line: Line) -> Line:
    return replace(line, day=f"2026-03-{day}")


def _month(*lines: Line) -> Page:
    """Return a statement of the month up to the 18th, its lines on the days on which their own statements have them."""
    dated = [_on(day, line) for day, line in zip(("05", "09", "18"), lines, strict=False)]
    return Page(day="2026-03-18", starts="2026-03-01", opening=1000, lines=dated, id="M")


BATCH = Batch(minor=14505, parts=[(4825, "STRIPE one"), (9680, "STRIPE two")])
NEW_YEAR = Page(day="2026-01-02", opening=0, lines=[ONE], id="00001", number=1)

# Name: (files, lines that count and are not cancelled, kinds of reasons)
TABLE: dict[str, tuple[list[Page], list[tuple[int, str]], set[str]]] = {
    # Corrections.
    "correction-of-a-correction": (
        [
            FIRST,
            replace(FIRST, id="S5-R1", made=LATER, lines=[TWO]),
            replace(FIRST, id="S5-R2", made=LATEST, lines=[ONE, TWO]),
        ],
        BOTH,
        set(),
    ),
    "correction-of-a-correction-without-numbers": (
        [
            replace(FIRST, number=None),
            replace(FIRST, number=None, made=LATER, lines=[TWO]),
            replace(FIRST, number=None, made=LATEST, lines=[ONE, TWO]),
        ],
        BOTH,
        set(),
    ),
    "correction-that-the-next-day-continues": (
        [
            replace(FIRST, lines=[]),
            replace(FIRST, made=LATER),
            FIRST.then("2026-03-06", [TWO], id="S6"),
        ],
        BOTH,
        set(),
    ),
    "both-days-corrected": (
        [
            replace(FIRST, lines=[]),
            replace(FIRST, lines=[]).then("2026-03-06", [TWO], id="S6"),
            replace(FIRST, made="2026-03-07T08:00:00Z"),
            FIRST.then("2026-03-06", [TWO], id="S6", made="2026-03-07T08:00:00Z"),
        ],
        BOTH,
        set(),
    ),
    "an-entry-moves-to-the-next-day": (
        [
            replace(FIRST, lines=[ONE, TWO]),
            replace(FIRST, lines=[ONE, TWO]).then("2026-03-06", id="S6"),
            replace(FIRST, made="2026-03-07T08:00:00Z"),
            FIRST.then("2026-03-06", [TWO], id="S6", made="2026-03-07T08:00:00Z"),
        ],
        BOTH,
        set(),
    ),
    "an-entry-moves-to-the-day-before": (
        [
            FIRST,
            FIRST.then("2026-03-06", [TWO], id="S6"),
            replace(FIRST, lines=[ONE, TWO], made="2026-03-07T08:00:00Z"),
            replace(FIRST, lines=[ONE, TWO]).then("2026-03-06", id="S6", made="2026-03-07T08:00:00Z"),
        ],
        BOTH,
        set(),
    ),
    "an-entry-moves-to-the-day-before-without-numbers": (
        [
            replace(FIRST, number=None),
            replace(FIRST, number=None).then("2026-03-06", [TWO]),
            replace(FIRST, number=None, lines=[ONE, TWO], made="2026-03-07T08:00:00Z"),
            replace(FIRST, number=None, lines=[ONE, TWO]).then("2026-03-06", [THREE], made="2026-03-07T08:00:01Z"),
        ],
        [(-700, "rent"), *BOTH],
        set(),
    ),
    "two-of-one-day-under-one-number": (
        # The day before and the day after close as the first of the two does.
        [
            replace(FIRST, day="2026-03-03", opening=5825, lines=[], number=3),
            replace(FIRST, day="2026-03-04", opening=5825, lines=[Line(minor=-4825, text="out")], number=4),
            FIRST,
            replace(FIRST, opening=5825, lines=[TWO], made=LATER),
            FIRST.then("2026-03-06", [Line(minor=-9680, text="on")], opening=15505),
        ],
        [(-9680, "on"), (-4825, "out"), *BOTH],
        set(),
    ),
    "two-of-one-day-and-an-earlier-day-sent-later": (
        [
            replace(FIRST, day="2026-03-03", opening=5825, lines=[], number=3, made="2026-03-08T08:00:00Z"),
            replace(FIRST, day="2026-03-04", opening=5825, lines=[Line(minor=-4825, text="out")], number=4),
            FIRST,
            replace(FIRST, opening=5825, lines=[TWO], made=LATER),
            FIRST.then("2026-03-06", [Line(minor=-9680, text="on")], opening=15505),
        ],
        [(-9680, "on"), (-4825, "out"), *BOTH],
        set(),
    ),
    "correction-takes-everything-back": ([FIRST, replace(FIRST, made=LATER, lines=[])], [], set()),
    # Pages.
    "three-pages": (pages_of_three(), [(-700, "rent"), *BOTH], set()),
    "pages-one-and-three": (
        [page for page in pages_of_three() if page.page != 2],
        [(-700, "rent"), BOTH[0]],
        {"statement_page"},
    ),
    "pages-two-and-three": (pages_of_three()[1:], [(-700, "rent"), BOTH[1]], {"statement_page"}),
    "pages-one-and-two": (pages_of_three()[:2], BOTH, {"statement_page"}),
    "each-page-has-an-id-of-its-own": (
        [replace(page, id=f"S5/{page.page}") for page in pages_of_three()],
        [(-700, "rent"), *BOTH],
        set(),
    ),
    "one-page-of-three-corrected": (
        [*pages_of_three(), replace(pages_of_three()[0], made=LATER)],
        [(-700, "rent"), *BOTH],
        set(),
    ),
    "pages-without-numbers": (pages_of_three(number=None), [(-700, "rent"), *BOTH], set()),
    # Numbers and ids.
    "new-year-beside-another-account": (
        [
            replace(NEW_YEAR, day="2025-12-31", id="00250", number=250, lines=[]),
            replace(NEW_YEAR, day="2025-12-31", id="00250", number=250, lines=[], iban=OTHER, opening=70),
            NEW_YEAR,
            replace(NEW_YEAR, iban=OTHER, lines=[THREE], opening=70),
            NEW_YEAR.then("2026-01-05", [TWO], id="00002"),
        ],
        [(-700, "rent"), *BOTH],
        set(),
    ),
    "quarters": (
        [
            Page(
                day="2025-09-30",
                starts="2025-07-01",
                opening=0,
                lines=[replace(ONE, day="2025-08-01")],
                id="3",
                number=3,
            ),
            Page(
                day="2025-12-31",
                starts="2025-10-01",
                opening=4825,
                lines=[replace(TWO, day="2025-11-03")],
                id="4",
                number=4,
            ),
            Page(
                day="2026-03-18",
                starts="2026-01-01",
                opening=14505,
                lines=[replace(THREE, day="2026-02-02")],
                id="1",
                number=1,
            ),
        ],
        [(-700, "rent"), *BOTH],
        set(),
    ),
    "a-quarter-missing": (
        [
            Page(
                day="2025-09-30",
                starts="2025-07-01",
                opening=0,
                lines=[replace(ONE, day="2025-08-01")],
                id="3",
                number=3,
            ),
            Page(
                day="2026-03-18",
                starts="2026-01-01",
                opening=14505,
                lines=[replace(THREE, day="2026-02-02")],
                id="1",
                number=1,
            ),
        ],
        [(-700, "rent"), BOTH[0]],
        {"statement_balance"},
    ),
    "months-without-numbers": (
        [
            Page(day="2026-01-31", starts="2026-01-01", opening=0, lines=[replace(ONE, day="2026-01-09")], id="M"),
            Page(day="2026-02-28", starts="2026-02-01", opening=4825, lines=[replace(TWO, day="2026-02-09")], id="M"),
        ],
        BOTH,
        set(),
    ),
    "a-month-beside-its-days": (
        [
            Page(day="2026-03-05", opening=1000, lines=[ONE], id="D1"),
            Page(day="2026-03-09", opening=5825, lines=[TWO], id="D2"),
            Page(day="2026-03-18", opening=15505, lines=[THREE], id="D3"),
            _month(ONE, TWO, THREE),
        ],
        [(-700, "rent"), *BOTH],
        set(),
    ),
    "a-week-and-a-month-beside-their-days": (
        [
            Page(day="2026-03-05", opening=1000, lines=[ONE], id="D1"),
            Page(day="2026-03-09", opening=5825, lines=[TWO], id="D2"),
            Page(day="2026-03-09", starts="2026-03-02", opening=1000, lines=[_on("05", ONE), TWO], id="W"),
            _month(ONE, TWO),
        ],
        BOTH,
        set(),
    ),
    "a-month-that-says-more-than-its-days": (
        [Page(day="2026-03-05", opening=1000, lines=[ONE], id="D1"), _month(ONE, TWO)],
        [BOTH[0], *BOTH],
        {"statement_overlap"},
    ),
    "overdrawn-all-along": (
        [
            Page(day="2026-03-05", opening=-9000, lines=[ONE], id="A"),
            Page(day="2026-03-06", opening=-4175, lines=[TWO], id="B"),
        ],
        BOTH,
        set(),
    ),
    "two-of-one-day-made-in-one-second": (
        [
            Page(day="2026-03-05", opening=5825, lines=[TWO], id="B", made=LATER),
            Page(day="2026-03-05", opening=1000, lines=[ONE], id="A", made=LATER),
        ],
        BOTH,
        set(),
    ),
    "three-of-one-day-without-times": (
        [
            Page(day="2026-03-05", opening=15505, lines=[THREE], id="Z3", made=LATER),
            Page(day="2026-03-05", opening=5825, lines=[TWO], id="Z2", made=LATER),
            Page(day="2026-03-05", opening=1000, lines=[ONE], id="Z1", made=LATER),
        ],
        [(-700, "rent"), *BOTH],
        set(),
    ),
    "quiet-day-missing-without-numbers": (
        [
            Page(day="2026-03-05", opening=0, lines=[ONE], id="A"),
            Page(day="2026-03-09", opening=4825, lines=[TWO], id="B"),
        ],
        BOTH,
        set(),
    ),
    "opening-alone": ([replace(FIRST, closing_code=None, lines=[])], [], {"statement_balance"}),
    "lines-moved-between-two-accounts": (
        [replace(FIRST, number=None), replace(FIRST, number=None, iban=OTHER[:-1] + "7", lines=[THREE])],
        [(-700, "rent"), BOTH[0]],
        set(),
    ),
    "two-currencies-with-numbers-of-their-own": (
        [
            FIRST,
            replace(FIRST, currency="USD", number=41, lines=[]),
            FIRST.then("2026-03-06", [TWO], id="S6"),
            replace(FIRST, currency="USD", number=41, lines=[]).then("2026-03-06", id="S7"),
        ],
        BOTH,
        set(),
    ),
    # Reversals.
    "one-of-a-batch-reversed": (
        [
            replace(FIRST, lines=[BATCH, Line(minor=-4825, text="STRIPE one", reversal=True)]),
        ],
        BOTH[1:],
        set(),
    ),
    "one-of-a-batch-reversed-and-booked-again-later": (
        [
            replace(FIRST, lines=[BATCH]),
            replace(FIRST, lines=[BATCH]).then(
                "2026-03-06", [Line(minor=-4825, text="STRIPE one", reversal=True), ONE], id="S6"
            ),
        ],
        BOTH,
        set(),
    ),
    "a-batch-reversed-as-a-batch": (
        [
            replace(
                FIRST,
                lines=[BATCH, Batch(minor=-14505, reversal=True, parts=[(4825, "STRIPE one"), (9680, "STRIPE two")])],
            ),
        ],
        [],
        set(),
    ),
    "a-batch-reversed-in-one-sum": (
        [replace(FIRST, lines=[BATCH, Line(minor=-14505, text="STORNO", reversal=True)])],
        [],
        set(),
    ),
    "a-reversal-keeps-the-side-of-what-it-takes-back": (
        # CRDT with RvslInd is, by the standard, a credit that takes back a debit.
        [replace(FIRST, lines=[THREE, Line(minor=700, text="rent", reversal=True)])],
        [],
        set(),
    ),
}


@pytest.fixture(scope="module", params=[False, True], ids=["in-order", "reversed"])
def landed(request: pytest.FixtureRequest, outcomes: Callable[..., dict[str, Outcome]]) -> dict[str, Outcome]:
    """Everything in the table, landed in the order of the table or the other way round."""
    return outcomes({name: files for name, (files, _, _) in TABLE.items()}, reverse=request.param)


@pytest.mark.parametrize("name", TABLE)
def test_each_line_counts_once_beside_the_known(landed: dict[str, Outcome], name: str) -> None:
    _, lines, reasons = TABLE[name]
    outcome = landed[name]
    print(*outcome.details, sep="\n")
    assert outcome.reasons == reasons, outcome.details
    assert sorted(outcome.counted) == sorted(lines), outcome.pages
