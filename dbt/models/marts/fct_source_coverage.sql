-- Grain: one row per feed and day from its first to the run's own: was it expected, is it there, is it whole. A bank account in
-- several currencies is one row a day.
-- Days are counted from where files begin and end, so it costs days and files, never the product of the two.
with spans as (

    select * from {{ ref('int_feed_spans') }}

),

feeds as (

    select
        clocks.source,
        clocks.account,
        clocks.record_type,
        min(clocks.first_on) as first_on,
        min(clocks.cadence) as cadence,
        bool_or(clocks.carries = 'bank') as is_bank,
        max({{ through_weekend('clocks.last_on') }}) as last_on,
        -- Of a feed that is late every day is expected that should have come by now; else only those between what has come.
        max(case when clocks.is_late then {{ pinned('as_of') }} - ceil(clocks.due_hour / 24.0)::integer else clocks.last_on end)
            as expected_through
    from {{ ref('int_feed_clocks') }} as clocks
    where clocks.files > 0
    group by clocks.source, clocks.account, clocks.record_type

),

edges as (

    select spans.source, spans.account, spans.record_type, spans.covers_from as on_day, 1 as files, spans.failed
    from spans

    union all

    select spans.source, spans.account, spans.record_type, spans.covers_to + 1 as on_day, -1 as files, -spans.failed as failed
    from spans

),

changes as (

    select
        edges.source,
        edges.account,
        edges.record_type,
        edges.on_day,
        sum(edges.files) as files,
        sum(edges.failed) as failed
    from edges
    group by edges.source, edges.account, edges.record_type, edges.on_day

),

days as (

    select
        feeds.*,
        day::date as covered_on
    from feeds
    cross join lateral generate_series(feeds.first_on, {{ pinned('as_of') }}, interval '1 day') as day

),

counted as (

    select
        days.source,
        days.account,
        days.record_type,
        days.covered_on,
        days.cadence,
        days.is_bank,
        days.expected_through,
        coalesce(sum(changes.files) over so_far, 0)::bigint as files,
        coalesce(sum(changes.failed) over so_far, 0)::bigint as failed_control_totals
    from days
    left join changes
        on days.source = changes.source
        and days.account = changes.account
        and days.record_type = changes.record_type
        and days.covered_on = changes.on_day
    window so_far as (
        partition by days.source, days.account, days.record_type order by days.covered_on
        rows between unbounded preceding and current row
    )

),

final as (

    select
        counted.source,
        counted.account,
        counted.record_type,
        counted.covered_on,
        counted.files > 0
        or coalesce(
            case counted.cadence
                when 'daily' then true
                -- What one file of the week or month leaves out may be a day on which nothing happened.
                when 'business_daily' then extract(isodow from counted.covered_on) <= 5
                when 'weekly' then extract(isodow from counted.covered_on) <= 5
                when 'monthly' then extract(isodow from counted.covered_on) <= 5
                else false
            end
            and counted.covered_on <= counted.expected_through,
            false
        ) as is_expected,
        counted.files > 0 as is_present,
        counted.files > 0 and counted.failed_control_totals = 0 as is_complete,
        counted.files,
        counted.failed_control_totals
    from counted

)

select * from final
