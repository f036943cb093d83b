-- opening + opened - closed = closing, and today's opening is the closing before it; the last closing is what is open.
with statement as (

    select
        statement.*,
        lag(statement.closing_minor) over days as previous_closing_minor,
        lag(statement.closing_count) over days as previous_closing_count
    from {{ ref('fct_reconciliation_statement') }} as statement
    window days as (
        partition by statement.leg, statement.provider, statement.account, statement.currency
        order by statement.stated_on
    )

)

select statement.leg, statement.currency, statement.stated_on
from statement
where statement.opening_minor + statement.opened_minor - statement.closed_minor <> statement.closing_minor
    or statement.opening_count + statement.opened_count - statement.closed_count <> statement.closing_count
    or statement.opening_minor <> coalesce(statement.previous_closing_minor, 0)
    or statement.opening_count <> coalesce(statement.previous_closing_count, 0)
