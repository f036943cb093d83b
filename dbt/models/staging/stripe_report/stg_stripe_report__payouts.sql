-- One row per row of an itemised payouts report inside the pin and the cut. A payout is positive here: a report that writes
-- all of its payouts as what they take from the balance, below zero, is turned round as a whole.
with files as (

    select * from {{ ref('stg_raw__files') }}
    where source = 'stripe_report' and record_type = 'payouts'

),

units as (
{{ declared_units('stripe_report', 'payouts', sign='signed') }}

),

events as (

    select * from {{ ref('stg_raw__canonical_events') }}
    where source = 'stripe_report'

),

typed as (

    select
        ---------- place
        files.file_no::bigint * 4294967296 + rows.ordinal as raw_row_id,
        files.received_at,
        rows.row_sha256,

        ---------- ids
        files.provider,
        files.account,
        rows.payout_id,
        rows.balance_transaction_id as psp_transaction_id,

        ---------- kinds
        rows.reporting_category as provider_type,
        events.event,
        nullif(rows.payout_status, '') as payout_status,
        nullif(rows.payout_type, '') as payout_type,

        ---------- amounts
        {{ declared_currency('rows.currency') }} as currency,
        {{ minor_signed('rows.net') }} as net_minor,

        ---------- dates
        {{ declared_day('rows.effective_at_utc', 'stripe_report', 'payouts') }} as booked_on,
        left(rows.payout_expected_arrival_date, 10)::date as expected_on
    from {{ source('raw', 'stripe_report_payouts') }} as rows
    inner join files
        on rows.file_id = files.file_id
    left join units
        on {{ declared_currency('rows.currency') }} = units.code
    left join events
        on rows.reporting_category = events.type
    where {{ declared_instant('rows.effective_at_utc', 'stripe_report', 'payouts') }} < {{ pinned_until() }}

),

final as (

    select
        typed.raw_row_id,
        typed.received_at,
        typed.row_sha256,
        typed.provider,
        typed.account,
        typed.payout_id,
        typed.psp_transaction_id,
        typed.provider_type,
        typed.event,
        typed.payout_status,
        typed.payout_type,
        typed.currency,
        case
            when bool_and(typed.net_minor <= 0) filter (where typed.event = 'payout') over report then -typed.net_minor
            else typed.net_minor
        end as net_minor,
        typed.booked_on,
        typed.expected_on
    from typed
    window report as (partition by typed.raw_row_id / 4294967296)

)

select * from final
