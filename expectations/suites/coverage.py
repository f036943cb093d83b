"""Is every day of the run there: asked by partition, so that a back-fill of an old day never makes today look fresh."""

from __future__ import annotations

from expectations.model import Batch, Suite, rows_refused

DAYS = """
    with sources as (
        select distinct
            coverage.source, coverage.account, coverage.record_type,
            coverage.source in (select declared.source from raw.sources as declared where declared.kind = 'bank')
                as is_bank
        from analytics.fct_source_coverage as coverage
    ),
    days as (select day::date as covered_on from generate_series(:first::date, :last::date, interval '1 day') as day)
    select
        sources.source, sources.account, sources.record_type, days.covered_on,
        -- A bank states on business days; a report covers every day.
        coalesce(coverage.is_expected, not sources.is_bank or extract(isodow from days.covered_on) <= 5)
            as is_expected,
        coalesce(coverage.is_present, false) as is_present,
        coalesce(coverage.is_complete, false) as is_complete
    from sources
    cross join days
    left join analytics.fct_source_coverage as coverage using (source, account, record_type, covered_on)
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
                description="Every source covers every day of the run on which it is expected.",
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
