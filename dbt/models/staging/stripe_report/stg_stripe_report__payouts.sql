-- One row per row of an itemised payouts report inside the pin and the cut, on a day that no newer report replaces. A payout is
-- positive here and a collection, which takes money from the bank, negative: a report that writes what its payouts do to the
-- balance is turned round as a whole. A payout's fee stays with the provider: the bank sees the smaller of gross and net.
with files as (

    select * from {{ ref('stg_raw__files') }}
    where source = 'stripe_report' and record_type = 'payouts'

),

units as (
{{ declared_units('stripe_report', 'payouts', sign='signed') }}

),

signs as (

    select * from {{ ref('stg_raw__payout_signs') }}

),

events as (

    select * from {{ ref('stg_raw__canonical_events') }}
    where source = 'stripe_report'

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
        rows.payout_id,
        rows.balance_transaction_id as psp_transaction_id,

        ---------- kinds
        rows.reporting_category as provider_type,
        events.event,
        nullif(rows.payout_status, '') as payout_status,
        nullif(rows.payout_type, '') as payout_type,

        ---------- amounts
        {{ declared_currency('rows.currency') }} as currency,
        coalesce(signs.payouts_sign, 1) * {{ minor_signed('rows.gross') }} as gross_minor,
        coalesce(signs.payouts_sign, 1) * {{ minor_signed('rows.net') }} as net_minor,

        ---------- dates
        ({{ instant_or_local('rows.effective_at_utc', 'rows.effective_at', 'stripe_report', 'payouts') }} at time zone 'UTC')::date as booked_on,
        left(rows.payout_expected_arrival_date, 10)::date as expected_on
    from {{ source('raw', 'stripe_report_payouts') }} as rows
    inner join files
        on rows.file_id = files.file_id
    left join signs
        on files.file_no = signs.file_no
    left join units
        on {{ declared_currency('rows.currency') }} = units.code
    left join events
        on rows.reporting_category = events.type
    where {{ instant_or_local('rows.effective_at_utc', 'rows.effective_at', 'stripe_report', 'payouts') }} < {{ pinned_until() }}
        and {{ is_not_replaced(
            "(" ~ instant_or_local('rows.effective_at_utc', 'rows.effective_at', 'stripe_report', 'payouts') ~ " at time zone 'UTC')::date"
        ) }}

),

final as (

    select
        typed.raw_row_id,
        typed.document_at,
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
        case when abs(typed.gross_minor) > abs(typed.net_minor) then typed.gross_minor else typed.net_minor end as net_minor,
        case when abs(typed.gross_minor) > abs(typed.net_minor) then typed.net_minor else typed.gross_minor end as bank_minor,
        typed.booked_on,
        typed.expected_on
    from typed

)

select * from final
