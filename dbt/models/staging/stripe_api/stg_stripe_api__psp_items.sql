-- One row per balance transaction that a sweep inside the pin and the cut listed, signed as the balance moves. A payout is minus its
-- net and nothing else, as in the reports. Which payout settles one is known where the payout's own transactions were asked for.
with files as (

    select * from {{ ref('stg_raw__files') }}
    where source = 'stripe_api' and record_type = 'balance_transactions'

),

units as (
{{ declared_units('stripe_api', 'balance_transactions', sign='signed') }}

),

events as (

    select * from {{ ref('stg_raw__canonical_events') }}
    where source = 'stripe_api'

),

typed as (

    select
        ---------- place
        files.file_no::bigint * 4294967296 + rows.ordinal as raw_row_id,
        files.document_at,
        rows.row_sha256,

        ---------- ids
        files.provider,
        files.account,
        rows.id as psp_transaction_id,
        nullif(rows.source, '') as source_id,
        case
            when rows.source_object in ('charge', 'payment') then rows.source
            else nullif(rows.source_charge, '')
        end as charge_id,
        nullif(rows.source_payment_intent, '') as payment_intent_id,
        coalesce(
            nullif(rows.source_metadata_reference, ''),
            nullif(rows.source_metadata_order_id, ''),
            nullif(rows.source_metadata_order, ''),
            nullif(rows.source_metadata_external_identifier, '')
        ) as merchant_reference,
        nullif(rows.payout, '') as payout_id,

        ---------- kinds
        coalesce(nullif(rows.reporting_category, ''), rows.type) as provider_type,
        events.event,
        nullif(rows.source_payment_method_details_type, '') as payment_method,

        ---------- amounts
        {{ declared_currency('rows.currency') }} as currency,
        {{ minor_signed('rows.amount') }} as gross_minor,
        {{ minor_signed('rows.fee') }} as fee_minor,
        {{ minor_signed('rows.net') }} as net_minor,

        ---------- dates
        ({{ instant_of_seconds('rows.created') }} at time zone 'UTC')::date as booked_on
    from {{ source('raw', 'stripe_api_balance_transactions') }} as rows
    inner join files
        on rows.file_id = files.file_id
    left join units
        on {{ declared_currency('rows.currency') }} = units.code
    left join events
        on coalesce(nullif(rows.reporting_category, ''), rows.type) = events.type
    where {{ instant_of_seconds('rows.created') }} < {{ pinned_until() }}

),

final as (

    select
        typed.raw_row_id,
        typed.document_at,
        typed.row_sha256,
        typed.provider,
        typed.account,
        typed.psp_transaction_id,
        typed.source_id,
        typed.charge_id,
        typed.payment_intent_id,
        typed.merchant_reference,
        case when typed.event = 'payout' then typed.source_id else typed.payout_id end as payout_id,
        typed.provider_type,
        typed.event,
        typed.payment_method,
        typed.currency,
        case when typed.event in ('payout', 'payout_reversal') then typed.net_minor else typed.gross_minor end as gross_minor,
        case when typed.event in ('payout', 'payout_reversal') then 0::numeric else typed.fee_minor end as fee_minor,
        typed.net_minor,
        typed.booked_on
    from typed

)

select * from final
