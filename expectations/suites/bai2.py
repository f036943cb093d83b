"""BAI2 reports: balances that are stated and continue, known sides, texts that are filled."""

from __future__ import annotations

from expectations.model import Batch, Suite, between, matches, never_null, one_of, rows_refused

TRAILING_DAYS = 28
LINES_RATIO = (0.2, 5.0)
"""Of the median statement; a bank's day varies more than a shop's."""

_STATEMENTS = """
    select
        statement.file_id, statement.ordinal, statement.account_iban, statement.currency, statement.statement_id,
        statement.as_of_on::date as closing_on, statement.created_at, statement.as_of_modifier,
        nullif(statement.opening_amount, '')::numeric as opening,
        nullif(statement.closing_amount, '')::numeric as closing
    from raw.bai2_statements as statement
    inner join raw.current_files as file using (file_id)
    where file.book = :book and file.is_current
      and statement.as_of_on::date between :first::date - {days} and :last::date
"""

STATEMENTS = f"""
    with statements as ({_STATEMENTS.format(days=TRAILING_DAYS)}),
    chained as (
        select
            statements.*,
            lag(closing) over (
                partition by account_iban, currency order by closing_on, created_at, ordinal
            ) as closing_before
        from statements
    )
    select * from chained where closing_on >= :first::date
"""  # noqa: S608 - constants of this module

LINES = """
    select line.*, coalesce(nullif(line.remittance, ''), nullif(line.bank_reference, '')) as said
    from raw.bai2_lines as line
    inner join raw.current_files as file using (file_id)
    where file.book = :book and file.is_current
      and line.booked_on::date between :first::date and :last::date
"""

VOLUMES = f"""
    with per_statement as (
        select
            statement.file_id, statement.ordinal, statement.account_iban, statement.closing_on,
            count(line.ordinal) as lines
        from ({_STATEMENTS.format(days=TRAILING_DAYS)}) as statement
        left join raw.bai2_lines as line
            on line.file_id = statement.file_id and line.statement_ordinal = statement.ordinal
        group by statement.file_id, statement.ordinal, statement.account_iban, statement.closing_on
    ),
    usual as (
        select account_iban, percentile_cont(0.5) within group (order by lines) as median_lines, count(*) as statements
        from per_statement
        where closing_on < :first::date
        group by account_iban
    )
    select
        per_statement.account_iban, per_statement.closing_on, per_statement.lines,
        case when usual.statements >= 5 and usual.median_lines >= 5
            then round((per_statement.lines / usual.median_lines)::numeric, 4)::float8 end as lines_ratio
    from per_statement
    left join usual using (account_iban)
    where per_statement.closing_on >= :first::date
"""  # noqa: S608 - constants of this module


def suite() -> Suite:
    """Return the suite of the source `bai2`."""
    return Suite(
        name="bai2",
        asset=("raw", "bai2_statements"),
        batches=(
            Batch(name="statements", query=STATEMENTS),
            Batch(name="lines", query=LINES),
            Batch(name="volumes", query=VOLUMES),
        ),
        expectations=(
            never_null(
                "account_iban", "statements", severity="error", description="Every statement names its account."
            ),
            matches(
                "currency",
                "statements",
                "^[A-Z]{3}$",
                severity="error",
                description="Currencies are three capital letters.",
            ),
            rows_refused(
                "statement_balances_continue",
                "statements",
                "closing_before is not null and opening <> closing_before",
                severity="warn",
                description="A statement opens with the balance that the one before closed with; else one is missing.",
            ),
            never_null(
                "closing",
                "statements",
                severity="warn",
                description="A report states the closing ledger balance (015), without which nothing proves it whole.",
            ),
            one_of(
                "as_of_modifier",
                "statements",
                ["", "2", "4"],
                severity="warn",
                description="A report is final; an interim one may still change.",
            ),
            one_of(
                "indicator",
                "lines",
                ["C", "D", ""],
                severity="error",
                description="A line is a credit, a debit or a remark.",
            ),
            never_null("booked_on", "lines", severity="error", description="Every line has its booking date."),
            never_null(
                "said",
                "lines",
                mostly=0.5,
                severity="warn",
                description="At least half of the lines carry a text or the bank's reference.",
            ),
            between(
                "volume_like_the_weeks_before",
                "lines_ratio",
                "volumes",
                *LINES_RATIO,
                severity="warn",
                unit="times",
                description="Lines a statement, against the median of the account over four weeks.",
            ),
        ),
    )
