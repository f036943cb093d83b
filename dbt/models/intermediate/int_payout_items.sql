{{ config(materialized='view', unlogged=none) }}
-- One row per PSP item that a payout settles: the bridge between the two. An item is in at most one payout; a payout is no item of
-- itself, nor is the reversal of it. The reversal of an earlier one is: what came back is paid out again.
with items as (

    select * from {{ ref('int_psp_items') }}

),

final as (

    select
        items.psp_item_id,
        items.psp_transaction_id,
        items.provider,
        items.account,
        items.payout_id,
        items.currency,
        items.fee_minor,
        items.net_minor
    from items
    where items.payout_id is not null
        and items.event is distinct from 'payout'
        and (items.event is distinct from 'payout_reversal' or items.source_id is distinct from items.payout_id)

)

select * from final
