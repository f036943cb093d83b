-- One row per control total of a file that fails, and that the other files of the run do not make good: a batch whose lines came in two
-- files adds up once both are read. One that does not is `batch_sum_mismatch` besides.
with totals as (

    select * from {{ ref('stg_raw__control_totals') }}
    where not passed

),

item_sums as (

    select bridge.provider, bridge.account, bridge.payout_id, sum(bridge.net_minor) as net_minor
    from {{ ref('int_payout_items') }} as bridge
    where bridge.payout_id in (select totals.subject from totals where totals.name = 'batch')
    group by bridge.provider, bridge.account, bridge.payout_id

),

final as (

    select
        totals.file_no,
        totals.source,
        totals.account,
        totals.file_name,
        totals.name,
        totals.subject,
        totals.expected,
        totals.actual
    from totals
    where not exists (
            select 1
            from item_sums
            inner join {{ ref('int_psp_payouts') }} as payouts
                on item_sums.provider = payouts.provider
                and item_sums.account = payouts.account
                and item_sums.payout_id = payouts.payout_id
                and item_sums.net_minor = payouts.net_minor
            where totals.name = 'batch'
                and totals.subject = payouts.payout_id
                and totals.account = payouts.account
        )

)

select * from final
