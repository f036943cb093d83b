-- One row per feed: up to which day it has come, whether it is late, and the day to which grace counts for what it would bring.
-- Without a cadence it holds that day as long as its longest file covers, at least a week; then silence is no reason to wait.
{%- set least_held_days = 7 %}
{%- set days_before_a_gap = 7 %}
with feeds as (

    select * from {{ ref('int_feeds') }}

),

-- A gap in reports on whose days nobody waits for anything is a day on which nothing happened.
asked_for as (

    select distinct
        feeds.source,
        feeds.account,
        feeds.record_type
    from feeds
    inner join {{ ref('int_awaited_items') }} as items
        on feeds.provider = items.provider
        and feeds.account = items.account
        and feeds.carries in (items.awaits, 'items_and_payouts')
        and items.effective_on between feeds.gap_from - {{ days_before_a_gap }} and feeds.gap_to

),

held as (

    select
        feeds.*,
        feeds.gap_from is not null and (feeds.carries = 'bank' or asked_for.source is not null) as is_held_by_gap,
        coalesce({{ through_weekend('feeds.last_on') }}, feeds.since - 1) as expected_after
    from feeds
    left join asked_for
        on feeds.source = asked_for.source
        and feeds.account = asked_for.account
        and feeds.record_type = asked_for.record_type

),

dated as (

    select
        held.*,
        case when held.is_held_by_gap then held.gap_from - 1 else held.last_covered_on end as covered_through,
        {{ next_period_end("case when held.cadence = 'daily' then coalesce(held.last_on, held.since - 1) else held.expected_after end", 'held.cadence') }}
        + ceil(held.due_hour / 24.0)::integer as due_on
    from held

),

final as (

    select
        dated.source,
        dated.account,
        dated.record_type,
        dated.currency,
        dated.carries,
        dated.provider,
        dated.landed_account,
        dated.cadence,
        dated.cadence_from,
        dated.due_hour,
        dated.files,
        dated.first_on,
        dated.last_on,
        dated.covered_through,
        case when dated.is_held_by_gap then dated.gap_from end as gap_from,
        case when dated.is_held_by_gap then dated.gap_to end as gap_to,
        dated.due_on,
        coalesce(
            case
                when dated.cadence in ('on_movement', 'on_demand') then false
                when dated.files = 0 and dated.since is null then true
                else dated.due_on <= {{ pinned('as_of') }}
            end,
            false
        ) as is_late,
        case
            when dated.cadence in ('daily', 'business_daily', 'weekly', 'monthly') then dated.covered_through
            when {{ pinned('as_of') }} - dated.expected_after <= greatest(dated.longest_days, {{ least_held_days }})
                then dated.covered_through
            else {{ pinned('as_of') }}
        end as clock_on
    from dated

)

select * from final
