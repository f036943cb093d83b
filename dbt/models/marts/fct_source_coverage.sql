-- Grain: one row per source, account, record type and day between its first and last: was it expected, is it there, is it whole.
-- A report covers the interval of its files, days without rows inside it included; a bank covers the business days on which it
-- closed a statement.
with files as (

    select * from {{ ref('stg_raw__files') }}
    where covers_from is not null

),

totals as (

    select totals.file_no, count(*) filter (where not totals.passed) as failed
    from {{ ref('stg_raw__control_totals') }} as totals
    group by totals.file_no

),

statements as (

    select * from {{ ref('int_bank_statements') }}

),

spans as (

    select
        files.source,
        files.account,
        files.record_type,
        true as is_daily,
        least(files.covers_from, {{ pinned('as_of') }}) as covers_from,
        least(files.covers_to, {{ pinned('as_of') }}) as covers_to,
        files.rows_accepted,
        coalesce(totals.failed, 0) as failed
    from files
    left join totals
        on files.file_no = totals.file_no
    where files.kind is distinct from 'bank'
        and files.covers_from <= {{ pinned('as_of') }}

    union all

    select
        statements.source,
        statements.account_iban as account,
        'statements' as record_type,
        false as is_daily,
        coalesce(statements.opening_on, statements.closing_on) as covers_from,
        coalesce(statements.closing_on, statements.opening_on) as covers_to,
        0 as rows_accepted,
        coalesce(totals.failed, 0) as failed
    from statements
    left join totals
        on statements.file_no = totals.file_no

),

ranges as (

    select
        spans.source,
        spans.account,
        spans.record_type,
        bool_or(spans.is_daily) as is_daily,
        min(spans.covers_from) as first_on,
        max(spans.covers_to) as last_on
    from spans
    group by spans.source, spans.account, spans.record_type

),

days as (

    select
        ranges.source,
        ranges.account,
        ranges.record_type,
        ranges.is_daily,
        day::date as covered_on
    from ranges
    cross join lateral generate_series(ranges.first_on, ranges.last_on, interval '1 day') as day

),

final as (

    select
        days.source,
        days.account,
        days.record_type,
        days.covered_on,
        days.is_daily or extract(isodow from days.covered_on) <= 5 as is_expected,
        count(spans.source) > 0 as is_present,
        count(spans.source) > 0 and coalesce(sum(spans.failed), 0) = 0 as is_complete,
        count(spans.source) as files,
        coalesce(sum(spans.failed), 0)::bigint as failed_control_totals
    from days
    left join spans
        on days.source = spans.source
        and days.account = spans.account
        and days.record_type = spans.record_type
        and days.covered_on between spans.covers_from and spans.covers_to
    group by days.source, days.account, days.record_type, days.covered_on, days.is_daily

)

select * from final
