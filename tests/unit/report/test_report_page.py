"""The page: whole in itself, escaped, and saying what the report says."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from reconciliation.report.chart import rate_chart
from reconciliation.report.model import Coverage, CoverageDay, RunPoint
from reconciliation.report.page import page_of
from reconciliation.report.view import view_of
from reconciliation.runs.match_rate import decimal_rate

_spec = importlib.util.spec_from_file_location("report_rows", Path(__file__).with_name("report_rows.py"))
assert _spec is not None
assert _spec.loader is not None
rows = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(rows)


def test_the_page_loads_nothing_from_anywhere() -> None:
    page = page_of(rows.report())
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", page)
    assert "@import" not in page
    assert "url(" not in page
    assert "default-src 'none'" in page


def test_nothing_that_came_from_outside_becomes_markup() -> None:
    page = page_of(rows.report())
    assert rows.EVIL not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") >= 8


def test_the_same_report_gives_the_same_bytes() -> None:
    assert page_of(rows.report()) == page_of(rows.report())


def test_amounts_carry_their_minor_units_for_sorting() -> None:
    page = page_of(rows.report())
    assert 'data-sort="-2550"' in page
    assert "−25.50" in page


def test_every_class_links_to_its_breaks() -> None:
    page = page_of(rows.report())
    for name in ("missing_at_psp", "amount_mismatch"):
        assert f'href="#class-{name}"' in page
        assert f'id="class-{name}"' in page


def test_breaks_that_are_not_listed_are_counted_aloud() -> None:
    report = rows.report(breaks=(rows.break_row(1, "missing_at_psp"),))
    assert view_of(report).unlisted == 1
    assert "1 more are not on this page" in page_of(report)


def test_a_statement_that_does_not_add_up_says_so() -> None:
    statement = rows.report().statement[0]
    wrong = type(statement)(
        **{name: getattr(statement, name) for name in statement.__dataclass_fields__} | {"closing_count": 7}
    )
    assert "does not add up" in page_of(rows.report(statement=(wrong,)))
    assert "does not add up" not in page_of(rows.report())


def test_what_a_bridge_does_not_explain_stands_on_the_page() -> None:
    bridge = rows.report().bridges[0]
    assert bridge.unexplained.amount_minor == 0
    wrong = type(bridge)(**{name: getattr(bridge, name) for name in bridge.__dataclass_fields__} | {"steps": ()})
    assert wrong.unexplained.amount_minor == -100


def test_page_and_run_say_one_rate_of_the_same_counts_and_pending_items_move_neither() -> None:
    run = decimal_rate(matched=9, breaks=1)
    (plain,) = rows.report(rates=(rows.rate(9, 1),)).rates
    waiting = replace(plain, pending=50)
    assert (waiting.basis_points, waiting.due) == (plain.basis_points, plain.due) == (9_000, 10)
    view = view_of(rows.report(rates=(waiting,)))
    assert (view.item_rate, view.items_matched, view.items_due) == (9_000, 9, 10)
    assert run == "0.900000"


def test_the_rate_says_how_it_changed_since_the_last_run() -> None:
    (row,) = view_of(rows.report()).rates
    assert (row.change, row.direction, row.change_words) == (80, "up", "+0.80 pp")


def test_a_first_run_without_breaks_still_makes_a_page() -> None:
    page = page_of(
        rows.report(
            verdict="reconciled", breaks=(), totals=(), changes=(), pending=(), pending_total=0, previous_as_of=None,
            previous_rates=(), history=(), reasons=(), record_seq=None, recorded_at=None,
        )
    )  # fmt: skip
    assert "Reconciled" in page
    assert "Nothing differs." in page
    assert "This is the first run of the book." in page


def test_a_run_whose_marts_are_gone_says_what_it_cannot_show() -> None:
    assert "The marts hold a later run" in page_of(rows.report(has_marts=False))


def test_every_place_of_the_page_is_closed() -> None:
    page = page_of(rows.report())
    for tag in ("section", "table", "tbody", "thead", "tr", "td", "th", "div", "details", "svg", "figure"):
        opened = len(re.findall(rf"<{tag}[\s>]", page))
        assert opened == page.count(f"</{tag}>"), tag


@pytest.mark.parametrize("runs", [1, 2, 30])
def test_the_chart_is_well_formed_and_stays_in_its_frame(runs: int) -> None:
    history = rows.report().history[:runs]
    chart = ElementTree.fromstring(rate_chart(history, "A"))
    points = [point for line in chart.iter("polyline") for point in line.attrib["points"].split()]
    assert len(points) == runs
    _, _, width, height = (int(part) for part in chart.attrib["viewBox"].split())
    for point in points:
        x, y = (int(part) for part in point.split(","))
        assert 0 <= x <= width
        assert 0 <= y <= height


def test_a_chart_of_nothing_is_nothing() -> None:
    assert rate_chart((), "A") == ""
    assert rate_chart((RunPoint(run_id="x", as_of=rows.AS_OF, rates=(rows.rate(0, 0),)),), "A") == ""


def test_a_quarter_of_the_days_is_drawn_and_every_day_is_counted() -> None:
    days = tuple(
        CoverageDay(on=rows.AS_OF - timedelta(days=back), state="missing" if back > 95 else "complete", detail="d")
        for back in range(99, -1, -1)
    )
    page = page_of(rows.report(coverage=(Coverage(source="stripe", days=days),)))
    assert "the last 92 of 100 days" in page
    assert page.count('<i class="complete" title=') == 92
    assert ">96</td>" in page
    assert ">4</td>" in page
