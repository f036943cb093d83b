-- One row per body row of a settlement report. Items know no payout: a withdrawal takes what the balance has.
with items as (

    select * from {{ ref('stg_paypal_stl__items') }}

),

final as (

    select
        items.raw_row_id,
        items.document_at,
        items.row_sha256,
        items.provider,
        items.account,
        items.psp_transaction_id,
        -- What came back names the withdrawal that it was.
        case when items.event = 'payout_reversal' then coalesce(items.reference_id, items.transaction_id) else items.transaction_id end
            as source_id,
        case when items.event = 'charge' then items.transaction_id else items.reference_id end as charge_id,
        nullif(items.tracking_reference, items.merchant_reference) as payment_intent_id,
        case when items.event in ('payout', 'payout_reversal') then items.bank_reference_id else items.merchant_reference end
            as merchant_reference,
        case when items.event = 'payout' then items.transaction_id end as payout_id,
        items.provider_type,
        items.event,
        null::text as payment_method,
        items.currency,
        case when items.event = 'payout' then items.net_minor else items.gross_minor end as gross_minor,
        case when items.event = 'payout' then 0::numeric else items.fee_minor end as fee_minor,
        items.net_minor,
        items.booked_on
    from items

)

select * from final
