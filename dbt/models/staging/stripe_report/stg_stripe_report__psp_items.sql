-- One row per row of a report that moves Stripe's balance: an item of an itemised payout reconciliation, or a payout as one more.
-- Signed as the balance moves. A payout is minus its net and nothing else: what its fee is differs from report to report.
-- Both halves have the same types, written out: only such a union is planned as one scan that leaves out what nobody asks for.
with itemised as (

    select * from {{ ref('stg_stripe_report__payout_reconciliation') }}

),

payouts as (

    select * from {{ ref('stg_stripe_report__payouts') }}

),

final as (

    select
        itemised.raw_row_id,
        itemised.document_at,
        itemised.row_sha256,
        itemised.provider,
        itemised.account,
        itemised.psp_transaction_id,
        itemised.source_id,
        itemised.charge_id,
        itemised.payment_intent_id,
        itemised.merchant_reference,
        itemised.payout_id,
        itemised.provider_type,
        itemised.event,
        itemised.payment_method,
        itemised.currency,
        case when itemised.event = 'payout' then itemised.net_minor else itemised.gross_minor end as gross_minor,
        case when itemised.event = 'payout' then 0::numeric else itemised.fee_minor end as fee_minor,
        itemised.net_minor,
        itemised.booked_on
    from itemised

    union all

    select
        payouts.raw_row_id,
        payouts.document_at,
        payouts.row_sha256,
        payouts.provider,
        payouts.account,
        payouts.psp_transaction_id,
        payouts.payout_id as source_id,
        null::text as charge_id,
        null::text as payment_intent_id,
        null::text as merchant_reference,
        -- Which payout pays out again what came back of a failed one is for the itemised report to say.
        case when payouts.event = 'payout' then payouts.payout_id end as payout_id,
        payouts.provider_type,
        payouts.event,
        null::text as payment_method,
        payouts.currency,
        -payouts.net_minor as gross_minor,
        0::numeric as fee_minor,
        -payouts.net_minor as net_minor,
        payouts.booked_on
    from payouts

)

select * from final
