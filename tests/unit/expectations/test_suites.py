"""The suites as data: what they promise without the library that evaluates them."""

from __future__ import annotations

import subprocess
import sys
from datetime import date

import pytest

from expectations.model import Expectation, Outcome, Scope
from expectations.page import page_of
from expectations.suites import all_suites

SCOPE = Scope(book="main", first=date(2026, 10, 1), last=date(2026, 10, 31))


def test_every_source_has_a_suite_and_so_has_the_ledger() -> None:
    assert {"stripe_report", "camt053", "ledger", "coverage"} <= {suite.name for suite in all_suites()}


def test_every_expectation_looks_at_a_batch_of_its_suite_and_says_what_it_means() -> None:
    for suite in all_suites():
        names = {batch.name for batch in suite.batches}
        for expectation in suite.expectations:
            assert expectation.batch in names
            assert expectation.description.endswith(".")


def test_names_of_checks_are_unique_within_an_asset() -> None:
    seen = [(suite.asset, expectation.name) for suite in all_suites() for expectation in suite.expectations]
    assert len(seen) == len(set(seen))


def test_drift_never_turns_the_graph_red() -> None:
    drift = [each for suite in all_suites() for each in suite.expectations if "weeks_before" in each.name]
    assert len(drift) >= 7
    assert {each.severity for each in drift} == {"warn"}


def test_queries_are_filled_with_the_days_of_the_run_and_nothing_is_left_open() -> None:
    for suite in all_suites():
        for batch in suite.batches:
            query = SCOPE.fill(batch.query)
            for name in (":book", ":first", ":last"):
                assert name not in query


def test_a_book_whose_name_could_end_a_literal_is_refused() -> None:
    with pytest.raises(ValueError, match="no name of a book"):
        Scope(book="main' or '1'='1", first=SCOPE.first, last=SCOPE.last)


def test_listing_the_checks_does_not_import_the_library() -> None:
    code = (
        "import sys; from expectations.suites import all_suites; import expectations.runner; all_suites();"
        "sys.exit(len({'great_expectations', 'pandas', 'scipy', 'dagster'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_page_escapes_what_was_observed_and_loads_nothing() -> None:
    page = page_of([_outcome(passed=False, error="<script>alert(1)</script>")], SCOPE)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http://" not in page
    assert "https://" not in page


def test_the_page_says_nothing_to_check_of_nothing_and_counts_it_apart() -> None:
    page = page_of([_outcome(passed=True, rows=0), _outcome(passed=True), _outcome(passed=False)], SCOPE)
    assert page.count(">holds<") == 1
    assert page.count(">nothing to check<") == 1
    assert "1 holds, 1 had nothing to check," in page
    assert "no rows" in page
    assert "{&#34;" not in page


def _outcome(*, passed: bool, rows: int = 3, error: str | None = None) -> Outcome:
    expectation = Expectation(name="x", batch="b", kind="K", severity="warn", description="X.")
    return Outcome(
        suite="s",
        expectation=expectation,
        passed=passed,
        unexpected_count=0 if passed else 1,
        rows=rows,
        checked=rows,
        error=error,
    )
