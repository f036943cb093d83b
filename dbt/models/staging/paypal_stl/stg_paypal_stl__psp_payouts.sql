-- One row per withdrawal to a bank: what left the balance, positive, and what reaches the bank, which a fee makes less.
with items as (

    select * from {{ ref('stg_paypal_stl__items') }}
    where event = 'payout'

),

final as (

    select
        items.raw_row_id,
        items.document_at,
        items.row_sha256,
        items.provider,
        items.account,
        items.transaction_id as payout_id,
        items.psp_transaction_id,
        null::text as payout_status,
        null::text as payout_type,
        items.currency,
        -items.net_minor as net_minor,
        -items.gross_minor as bank_minor,
        items.booked_on,
        items.booked_on as expected_on,
        true as is_expected_at_bank
    from items

)

select * from final
