-- One row per file, batch and currency that was paid out: what left the balance, positive; below zero where Adyen took it from the
-- bank. Of a payout that came back and went again within its batch, what stayed away in the end.
with items as (

    select * from {{ ref('stg_adyen_settlement__items') }}

),

final as (

    select
        min(items.raw_row_id) as raw_row_id,
        max(items.document_at) as document_at,
        (array_agg(items.row_sha256 order by items.raw_row_id))[1] as row_sha256,
        items.provider,
        items.account,
        items.payout_id,
        (array_agg(items.psp_transaction_id order by items.event, items.psp_transaction_id))[1] as psp_transaction_id,
        null::text as payout_status,
        null::text as payout_type,
        items.currency,
        -sum(items.net_minor) as net_minor,
        -sum(items.net_minor) as bank_minor,
        min(items.booked_on) as booked_on,
        max(items.booked_on) as expected_on,
        true as is_expected_at_bank
    from items
    where items.event = 'payout'
        or items.returned_payout_id = items.payout_id
    group by
        items.file_no,
        items.provider,
        items.account,
        items.payout_id,
        items.currency
    having bool_or(items.event = 'payout')

)

select * from final
