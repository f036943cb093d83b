-- Grain: one row per leg, provider, account, currency and step of the bridge from one side's balance to the other's.
-- Leg A: ledger balance minus PSP balance; leg B: payouts minus bank lines. `residual` must be zero, or the run is incomplete:
-- two breaks that cancel leave a net difference of zero, and a bridge with two steps.
with ledger_items as (

    select * from {{ ref('int_ledger_items') }}

),

psp_items as (

    select * from {{ ref('int_psp_items') }}

),

-- Payouts and bank lines, each under the account under which it was matched or differs.
members as (

    select * from {{ ref('int_bank_members') }}

),

differences as (

    select differences.*, classes.bridge_step
    from {{ ref('fct_differences') }} as differences
    inner join {{ ref('break_classes') }} as classes
        on differences.class = classes.class
    where classes.bridge_step is not null

),

balances as (

    select 'A' as leg, items.provider, items.account, items.currency, 'left_balance' as step, count(*) as items, sum(items.net_minor) as amount_minor
    from ledger_items as items
    group by items.provider, items.account, items.currency

    union all

    select 'A' as leg, items.provider, items.account, items.currency, 'right_balance' as step, count(*) as items, sum(items.net_minor) as amount_minor
    from psp_items as items
    group by items.provider, items.account, items.currency

    union all

    select
        'B' as leg,
        members.provider,
        members.account,
        members.currency,
        case when members.payout_number is not null then 'left_balance' else 'right_balance' end as step,
        count(*) as items,
        sum(members.amount_minor) as amount_minor
    from members
    group by members.provider, members.account, members.currency, members.payout_number is not null

),

-- Each side of a difference counts in its own currency.
explained as (

    select
        differences.leg,
        differences.provider,
        differences.account,
        sides.currency,
        differences.bridge_step || case differences.status when 'pending' then ':pending' else '' end as step,
        count(distinct differences.difference_id) as items,
        sum(sides.amount_minor) as amount_minor
    from differences
    cross join lateral (
        values
        (
            case differences.leg when 'A' then differences.other_currency else differences.currency end,
            case differences.leg when 'A' then differences.ledger_amount_minor else differences.psp_amount_minor end
        ),
        (
            case differences.leg when 'A' then differences.currency else differences.other_currency end,
            -case differences.leg when 'A' then differences.psp_amount_minor else differences.bank_amount_minor end
        )
    ) as sides (currency, amount_minor)
    where sides.amount_minor is not null
    group by
        differences.leg,
        differences.provider,
        differences.account,
        sides.currency,
        differences.bridge_step,
        differences.status

),

steps as (

    select * from balances
    union all
    select * from explained

),

residual as (

    select
        steps.leg,
        steps.provider,
        steps.account,
        steps.currency,
        'residual' as step,
        0::bigint as items,
        sum(
            case steps.step when 'left_balance' then steps.amount_minor else -steps.amount_minor end
        ) as amount_minor
    from steps
    group by steps.leg, steps.provider, steps.account, steps.currency

),

final as (

    select * from steps
    union all
    select * from residual

)

select
    final.leg,
    final.provider,
    final.account,
    final.currency,
    final.step,
    final.items,
    final.amount_minor::numeric(38, 0) as amount_minor
from final
