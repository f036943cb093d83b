-- One row per body row of a settlement report inside the pin and the cut, on a day that no newer report replaces, signed as the
-- balance moves: gross and fee together.
{%- set row_id = "rows.transaction_id || ':' || rows.event_code || ':' || rows.gross_side || ':' || rows.gross_currency" %}
with files as (

    select * from {{ ref('stg_raw__files') }}
    where source = 'paypal_stl'

),

units as (
{{ declared_units('paypal_stl', 'items', sign='dr_cr') }}

),

events as (

    select * from {{ ref('stg_raw__canonical_events') }}
    where source = 'paypal_stl'

),

-- One transaction may have several rows: of other codes, sides and currencies; and now and then two that are alike in all of these.
repeated as (

    select rows.file_id, {{ row_id }} as row_id
    from {{ source('raw', 'paypal_stl_items') }} as rows
    inner join files
        on rows.file_id = files.file_id
    group by rows.file_id, {{ row_id }}
    having count(*) > 1

),

numbered as (

    select
        rows.file_id,
        rows.ordinal,
        row_number() over (
            partition by rows.file_id, repeated.row_id
            order by rows.completed_at, rows.gross_amount, rows.fee_amount, rows.invoice_id, rows.ordinal
        ) as occurrence
    from {{ source('raw', 'paypal_stl_items') }} as rows
    inner join repeated
        on rows.file_id = repeated.file_id
        and {{ row_id }} = repeated.row_id

),

typed as (

    select
        ---------- place
        files.file_no,
        files.file_no::bigint * 4294967296 + rows.ordinal as raw_row_id,
        files.document_at,
        rows.row_sha256,

        ---------- ids
        files.provider,
        files.account,
        {{ row_id }} || coalesce(':' || nullif(numbered.occurrence, 1), '') as psp_transaction_id,
        rows.transaction_id,
        nullif(rows.reference_id, '') as reference_id,
        coalesce(nullif(rows.invoice_id, ''), nullif(rows.custom_field, '')) as merchant_reference,
        coalesce(nullif(rows.payment_tracking_id, ''), nullif(rows.custom_field, '')) as tracking_reference,
        nullif(rows.bank_reference_id, '') as bank_reference_id,

        ---------- kinds
        rows.event_code as provider_type,
        events.event,

        ---------- amounts
        {{ declared_currency('rows.gross_currency') }} as currency,
        {{ minor_by_indicator('rows.gross_amount', 'rows.gross_side', 'paypal_stl', 'items') }} as gross_minor,
        -- Above zero takes from the balance; a fee that was given back is below.
        coalesce(-({{ minor_by_indicator('rows.fee_amount', 'rows.fee_side', 'paypal_stl', 'items') }}), 0) as fee_minor,

        ---------- dates
        (rows.completed_at::timestamptz at time zone 'UTC')::date as booked_on
    from {{ source('raw', 'paypal_stl_items') }} as rows
    inner join files
        on rows.file_id = files.file_id
    left join numbered
        on rows.file_id = numbered.file_id
        and rows.ordinal = numbered.ordinal
    left join units
        on {{ declared_currency('rows.gross_currency') }} = units.code
    left join events
        on rows.event_code = events.type
    where rows.completed_at::timestamptz < {{ pinned_until() }}
        and {{ is_not_replaced('rows.selected_on::date') }}

),

final as (

    select
        typed.file_no,
        typed.raw_row_id,
        typed.document_at,
        typed.row_sha256,
        typed.provider,
        typed.account,
        typed.psp_transaction_id,
        typed.transaction_id,
        typed.reference_id,
        typed.merchant_reference,
        typed.tracking_reference,
        typed.bank_reference_id,
        typed.provider_type,
        -- The code says what, the side whose: a payment that the company made, a transfer that came back.
        case
            when typed.event = 'charge' and typed.gross_minor < 0 then 'transfer'
            when typed.event = 'payout' and typed.gross_minor > 0 then 'payout_reversal'
            else typed.event
        end as event,
        typed.currency,
        typed.gross_minor,
        typed.fee_minor,
        typed.gross_minor - typed.fee_minor as net_minor,
        typed.booked_on
    from typed

)

select * from final
