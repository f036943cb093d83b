-- Grain: one row per leg, provider, account, currency and day: opening + opened - closed = closing, in number and amount.
-- Days without any event are left out, but for the run's own day, which also carries the two balances and what explains them.
with breaks as (

    select * from {{ ref('fct_breaks') }}
    where opened_on <= {{ pinned('as_of') }}

),

bridge as (

    select * from {{ ref('fct_reconciliation_bridge') }}

),

events as (

    select
        breaks.leg,
        breaks.provider,
        breaks.account,
        breaks.currency,
        breaks.opened_on as stated_on,
        1 as opened_count,
        0 as closed_count,
        breaks.amount_minor as opened_minor,
        0::numeric as closed_minor
    from breaks

    union all

    select
        breaks.leg,
        breaks.provider,
        breaks.account,
        breaks.currency,
        breaks.closed_on as stated_on,
        0 as opened_count,
        1 as closed_count,
        0::numeric as opened_minor,
        breaks.amount_minor as closed_minor
    from breaks
    where breaks.closed_on <= {{ pinned('as_of') }}

    union all

    select distinct
        bridge.leg,
        bridge.provider,
        bridge.account,
        bridge.currency,
        {{ pinned('as_of') }} as stated_on,
        0 as opened_count,
        0 as closed_count,
        0::numeric as opened_minor,
        0::numeric as closed_minor
    from bridge

),

daily as (

    select
        events.leg,
        events.provider,
        events.account,
        events.currency,
        events.stated_on,
        sum(events.opened_count) as opened_count,
        sum(events.closed_count) as closed_count,
        sum(events.opened_minor) as opened_minor,
        sum(events.closed_minor) as closed_minor
    from events
    group by events.leg, events.provider, events.account, events.currency, events.stated_on

),

running as (

    select
        daily.*,
        sum(daily.opened_count - daily.closed_count) over upto as closing_count,
        sum(daily.opened_minor - daily.closed_minor) over upto as closing_minor
    from daily
    window upto as (
        partition by daily.leg, daily.provider, daily.account, daily.currency order by daily.stated_on
    )

),

balances as (

    select
        bridge.leg,
        bridge.provider,
        bridge.account,
        bridge.currency,
        coalesce(sum(bridge.amount_minor) filter (where bridge.step = 'left_balance'), 0) as left_balance_minor,
        coalesce(sum(bridge.amount_minor) filter (where bridge.step = 'right_balance'), 0) as right_balance_minor,
        coalesce(sum(bridge.amount_minor) filter (where bridge.step = 'residual'), 0) as residual_minor
    from bridge
    group by bridge.leg, bridge.provider, bridge.account, bridge.currency

),

final as (

    select
        running.leg,
        running.provider,
        running.account,
        running.currency,
        running.stated_on,
        (running.closing_count - running.opened_count + running.closed_count)::bigint as opening_count,
        running.opened_count::bigint as opened_count,
        running.closed_count::bigint as closed_count,
        running.closing_count::bigint as closing_count,
        (running.closing_minor - running.opened_minor + running.closed_minor)::numeric(38, 0) as opening_minor,
        running.opened_minor::numeric(38, 0) as opened_minor,
        running.closed_minor::numeric(38, 0) as closed_minor,
        running.closing_minor::numeric(38, 0) as closing_minor,
        balances.left_balance_minor::numeric(38, 0) as left_balance_minor,
        balances.right_balance_minor::numeric(38, 0) as right_balance_minor,
        balances.residual_minor::numeric(38, 0) as residual_minor
    from running
    left join balances
        on running.leg = balances.leg
        and running.provider = balances.provider
        and running.account = balances.account
        and running.currency = balances.currency
        and running.stated_on = {{ pinned('as_of') }}

)

select * from final
