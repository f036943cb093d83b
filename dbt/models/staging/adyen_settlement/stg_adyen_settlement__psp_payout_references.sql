-- One row per text, besides the payout's id, by which a bank line may name a payout: the number of the transfer, and the batch with
-- its merchant account, which is what Adyen writes into the remittance; the whole text where it has no such number.
with items as (

    select * from {{ ref('stg_adyen_settlement__items') }}
    where event = 'payout'

),

final as (

    select
        items.provider,
        items.account,
        items.payout_id,
        texts.reference
    from items
    cross join lateral (
        values
        (coalesce(items.transfer_number, items.modification_reference)),
        ('batch ' || items.batch_number || ', ' || items.merchant_account)
    ) as texts (reference)
    where texts.reference is not null

)

select * from final
