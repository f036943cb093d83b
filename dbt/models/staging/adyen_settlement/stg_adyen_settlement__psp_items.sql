-- One row per row of a settlement report. A batch and a currency is a payout; its own line is one more item of it.
with items as (

    select * from {{ ref('stg_adyen_settlement__items') }}

),

final as (

    select
        items.raw_row_id,
        items.document_at,
        items.row_sha256,
        items.provider,
        items.account,
        items.psp_transaction_id,
        case
            when items.event = 'payout' then items.payout_id
            when items.returned_payout_id <> items.payout_id then items.returned_payout_id
            else items.modification_reference
        end as source_id,
        items.psp_reference as charge_id,
        -- What the company called the capture, the refund, where it calls it otherwise than the payment.
        nullif(items.modification_merchant_reference, items.merchant_reference) as payment_intent_id,
        case
            when items.event in ('payout', 'payout_reversal') then items.transfer_number
            else items.merchant_reference
        end as merchant_reference,
        -- What came back within its batch is no part of what the batch pays out: it is taken off the payout itself.
        nullif(items.payout_id, items.returned_payout_id) as payout_id,
        items.provider_type,
        items.event,
        items.payment_method,
        items.currency,
        items.gross_minor,
        items.fee_minor,
        items.net_minor,
        items.booked_on
    from items

)

select * from final
