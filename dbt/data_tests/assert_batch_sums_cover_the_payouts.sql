-- Every payout whose items do not add up to it is a difference, and no other one is.
with item_sums as (

    select bridge.provider, bridge.account, bridge.payout_id, sum(bridge.net_minor) as net_minor
    from {{ ref('int_payout_items') }} as bridge
    group by bridge.provider, bridge.account, bridge.payout_id

),

unequal as (

    select payouts.payout_id
    from {{ ref('int_psp_payouts') }} as payouts
    inner join item_sums
        on payouts.provider = item_sums.provider
        and payouts.account = item_sums.account
        and payouts.payout_id = item_sums.payout_id
    where payouts.net_minor <> item_sums.net_minor

),

reported as (

    select differences.key as payout_id
    from {{ ref('fct_differences') }} as differences
    where differences.class = 'batch_sum_mismatch'

)

select unequal.payout_id from unequal
where unequal.payout_id not in (select reported.payout_id from reported)
