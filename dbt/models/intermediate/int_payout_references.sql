-- One row per text by which a bank line may name a payout: its id, and what a newer report says the bank will show.
with payouts as (

    select * from {{ ref('int_payouts') }}

),

itemised as (

    select * from {{ ref('stg_stripe__payout_reconciliation') }}
    where payout_id is not null
        and (payout_reference_token is not null or trace_id is not null)

),

named as (

    select payouts.payout_number, lower(payouts.payout_id) as reference
    from payouts

    union

    select payouts.payout_number, lower(itemised.payout_reference_token) as reference
    from payouts
    inner join itemised
        on payouts.provider = itemised.provider
        and payouts.account = itemised.account
        and payouts.payout_id = itemised.payout_id
    where itemised.payout_reference_token is not null

    union

    select payouts.payout_number, lower(itemised.trace_id) as reference
    from payouts
    inner join itemised
        on payouts.provider = itemised.provider
        and payouts.account = itemised.account
        and payouts.payout_id = itemised.payout_id
    where itemised.trace_id is not null

),

final as (

    select
        named.payout_number,
        named.reference
    from named
    where length(named.reference) >= 6

)

select * from final
