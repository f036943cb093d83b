"""Is every day of the run there: asked by partition, so that a back-fill of an old day never makes today look fresh."""

from __future__ import annotations

from expectations.model import Batch, Suite, rows_refused

DAYS = """
    select
        coverage.source, coverage.account, coverage.record_type, coverage.covered_on,
        coverage.is_expected, coverage.is_present, coverage.is_complete
    from analytics.fct_source_coverage as coverage
    where coverage.covered_on between :first::date and :last::date
"""


def suite() -> Suite:
    """Return the suite of coverage, over the days that a run closes."""
    return Suite(
        name="coverage",
        asset=("marts", "fct_source_coverage"),
        batches=(Batch(name="days", query=DAYS),),
        expectations=(
            rows_refused(
                "every_expected_day_is_there",
                "days",
                "is_expected and not is_present",
                severity="warn",
                description="Every feed covers every day of the run on which its cadence has it come.",
            ),
            rows_refused(
                "every_day_that_is_there_is_whole",
                "days",
                "is_present and not is_complete",
                severity="warn",
                description="No control total fails on a day of the run.",
            ),
        ),
    )
