-- One row per row of an itemised payout reconciliation report inside the pin and the cut, on a day that no newer report replaces.
with files as (

    select * from {{ ref('stg_raw__files') }}
    where source = 'stripe_report' and record_type = 'payout_reconciliation'

),

units as (
{{ declared_units('stripe_report', 'payout_reconciliation', sign='signed') }}

),

events as (

    select * from {{ ref('stg_raw__canonical_events') }}
    where source = 'stripe_report'

),

final as (

    select
        ---------- place
        files.file_no::bigint * 4294967296 + rows.ordinal as raw_row_id,
        files.document_at,
        rows.row_sha256,

        ---------- ids
        files.provider,
        files.account,
        rows.balance_transaction_id as psp_transaction_id,
        nullif(rows.source_id, '') as source_id,
        nullif(rows.charge_id, '') as charge_id,
        nullif(rows.payment_intent_id, '') as payment_intent_id,
        coalesce(
            nullif(rows.extra ->> 'payment_metadata[reference]', ''),
            nullif(rows.extra ->> 'payment_metadata[order_id]', ''),
            nullif(rows.extra ->> 'payment_metadata[order]', ''),
            nullif(rows.extra ->> 'payment_metadata[external_identifier]', ''),
            nullif(rows.order_id, '')
        ) as merchant_reference,
        nullif(rows.automatic_payout_id, '') as payout_id,
        nullif(rows.payout_reference_token, '') as payout_reference_token,
        nullif(rows.trace_id, '') as trace_id,

        ---------- kinds
        rows.reporting_category as provider_type,
        events.event,
        nullif(rows.payment_method_type, '') as payment_method,

        ---------- amounts
        {{ declared_currency('rows.currency') }} as currency,
        {{ minor_signed('rows.gross') }} as gross_minor,
        {{ minor_signed('rows.fee') }} as fee_minor,
        {{ minor_signed('rows.net') }} as net_minor,

        ---------- dates
        ({{ instant_or_local('rows.created_utc', 'rows.created', 'stripe_report', 'payout_reconciliation') }} at time zone 'UTC')::date as booked_on
    from {{ source('raw', 'stripe_report_payout_reconciliation') }} as rows
    inner join files
        on rows.file_id = files.file_id
    left join units
        on {{ declared_currency('rows.currency') }} = units.code
    left join events
        on rows.reporting_category = events.type
    where {{ instant_or_local('rows.created_utc', 'rows.created', 'stripe_report', 'payout_reconciliation') }} < {{ pinned_until() }}
        -- That of its payout, or of the item where it waits for one.
        and {{ is_not_replaced(
            "(coalesce(" ~ instant_or_local(
                "nullif(rows.automatic_payout_effective_at_utc, '')", "nullif(rows.automatic_payout_effective_at, '')",
                'stripe_report', 'payout_reconciliation'
            ) ~ ", " ~ instant_or_local('rows.created_utc', 'rows.created', 'stripe_report', 'payout_reconciliation')
            ~ ") at time zone 'UTC')::date"
        ) }}

)

select * from final
