-- One row per withdrawal of which PayPal says under which number the bank knows it.
select
    items.provider,
    items.account,
    items.transaction_id as payout_id,
    items.bank_reference_id as reference
from {{ ref('stg_paypal_stl__items') }} as items
where items.event = 'payout'
    and items.bank_reference_id is not null
