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
            -- What came back names the batch whose payout it was, which may be an earlier one.
            when items.event = 'payout_reversal'
                then items.merchant_account
                    || ':' || coalesce(substring(items.modification_reference from '(?i)\mbatch +(\d+)'), items.batch_number)
                    || ':' || items.currency
            else items.modification_reference
        end as source_id,
        items.psp_reference as charge_id,
        -- What the company called the capture, the refund, where it calls it otherwise than the payment.
        nullif(items.modification_merchant_reference, items.merchant_reference) as payment_intent_id,
        case
            when items.event in ('payout', 'payout_reversal')
                then substring(upper(items.modification_reference) from '\mTX[0-9A-Z]+XT\M')
            else items.merchant_reference
        end as merchant_reference,
        items.payout_id,
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
