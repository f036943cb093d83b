-- One row per text by which a bank line may name a payout: its id, and what a newer report says the bank will show.
with payouts as (

    select * from {{ ref('int_psp_payouts') }}

),

said as (
{{ union_of('psp_payout_references') }}
),

named as (

    select payouts.payout_number, lower(payouts.payout_id) as reference
    from payouts

    union

    select payouts.payout_number, lower(said.reference) as reference
    from payouts
    inner join said
        on payouts.provider = said.provider
        and payouts.account = said.account
        and payouts.payout_id = said.payout_id

),

final as (

    select
        named.payout_number,
        named.reference
    from named
    where length(named.reference) >= 6

)

select * from final
