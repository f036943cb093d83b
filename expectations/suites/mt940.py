"""MT940 statements: balances that add up and continue, known sides, references that are filled."""

from __future__ import annotations

from expectations.model import Batch, Suite, between, matches, never_null, one_of, rows_refused

TRAILING_DAYS = 28
LINES_RATIO = (0.2, 5.0)
"""Of the median statement; a bank's day varies more than a shop's."""

_STATEMENTS = """
    select
        statement.file_id, statement.ordinal, statement.account_iban, statement.currency, statement.statement_id,
        coalesce(nullif(statement.closing_on, ''), nullif(statement.opening_on, ''))::date as closing_on,
        nullif(statement.sequence, '')::bigint as sequence, nullif(statement.page, '')::integer as page,
        replace(nullif(statement.opening_amount, ''), ',', '.')::numeric
            * case statement.opening_indicator when 'D' then -1 else 1 end as opening,
        replace(nullif(statement.closing_amount, ''), ',', '.')::numeric
            * case statement.closing_indicator when 'D' then -1 else 1 end as closing
    from raw.mt940_statements as statement
    inner join raw.current_files as file using (file_id)
    where file.book = :book and file.is_current
      and coalesce(nullif(statement.closing_on, ''), nullif(statement.opening_on, ''))::date
        between :first::date - {days} and :last::date
"""

STATEMENTS = f"""
    with statements as ({_STATEMENTS.format(days=TRAILING_DAYS)}),
    chained as (
        select
            statements.*,
            lag(closing) over (
                partition by account_iban, currency order by closing_on, sequence, page, ordinal
            ) as closing_before
        from statements
    )
    select * from chained where closing_on >= :first::date
"""  # noqa: S608 - constants of this module

LINES = """
    select line.*, nullif(line.end_to_end_id, '') as payers_reference
    from raw.mt940_lines as line
    inner join raw.current_files as file using (file_id)
    where file.book = :book and file.is_current
      and coalesce(nullif(line.booked_on, ''), line.value_on)::date between :first::date and :last::date
"""

VOLUMES = f"""
    with per_statement as (
        select
            statement.file_id, statement.ordinal, statement.account_iban, statement.closing_on,
            count(line.ordinal) as lines
        from ({_STATEMENTS.format(days=TRAILING_DAYS)}) as statement
        left join raw.mt940_lines as line
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
    """Return the suite of the source `mt940`."""
    return Suite(
        name="mt940",
        asset=("raw", "mt940_statements"),
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
            one_of("indicator", "lines", ["C", "D"], severity="error", description="A line is a credit or a debit."),
            one_of(
                "mark",
                "lines",
                ["C", "D", "RC", "RD"],
                severity="warn",
                description="Lines are booked; announced ones may still change.",
            ),
            never_null("value_on", "lines", severity="error", description="Every line has its day of value."),
            never_null(
                "payers_reference",
                "lines",
                mostly=0.5,
                severity="warn",
                description="At least half of the lines carry an end-to-end reference.",
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
