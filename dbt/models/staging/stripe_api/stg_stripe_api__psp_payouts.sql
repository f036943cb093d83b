-- One row per payout that a sweep inside the pin and the cut listed; a withdrawal from the bank, which Stripe lists among them, is
-- negative. A payout's fee stays with Stripe: the balance loses it besides what reaches the bank.
with files as (

    select * from {{ ref('stg_raw__files') }}
    where source = 'stripe_api' and record_type = 'payouts'

),

units as (
{{ declared_units('stripe_api', 'payouts', sign='signed') }}

),

final as (

    select
        files.file_no::bigint * 4294967296 + rows.ordinal as raw_row_id,
        files.document_at,
        rows.row_sha256,
        files.provider,
        files.account,
        rows.id as payout_id,
        nullif(rows.balance_transaction, '') as psp_transaction_id,
        rows.status as payout_status,
        nullif(rows.type, '') as payout_type,
        {{ declared_currency('rows.currency') }} as currency,
        coalesce(
            -({{ minor_signed('rows.balance_transaction_net', may_be_empty=true) }}),
            {{ minor_signed('rows.amount') }}
        ) as net_minor,
        {{ minor_signed('rows.amount') }} as bank_minor,
        ({{ instant_of_seconds('rows.created') }} at time zone 'UTC')::date as booked_on,
        ({{ instant_of_seconds('rows.arrival_date') }} at time zone 'UTC')::date as expected_on,
        -- A payout that failed or was called back is not awaited at the bank.
        rows.status not in ('failed', 'canceled') as is_expected_at_bank
    from {{ source('raw', 'stripe_api_payouts') }} as rows
    inner join files
        on rows.file_id = files.file_id
    left join units
        on {{ declared_currency('rows.currency') }} = units.code
    where {{ instant_of_seconds('rows.created') }} < {{ pinned_until() }}

)

select * from final
