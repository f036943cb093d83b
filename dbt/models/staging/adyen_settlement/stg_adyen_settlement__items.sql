-- One row per row of a settlement report inside the pin and the cut, on a day that no newer report replaces, signed as the balance
-- moves. What moves is the net, so all amounts are in its currency; what the shopper paid stays in the raw row.
{%- set row_id = "rows.merchant_account || ':' || rows.batch_number || ':' || rows.type || ':' || rows.psp_reference || ':' || rows.modification_reference" %}
{%- set amount = "coalesce(nullif(rows.{}, ''), '0')::numeric" %}
{#- When it was booked into its batch, where the report says it. #}
{%- set booked_at = "coalesce(" ~ zoned_instant('rows.booking_date', ['rows.booking_date_timezone', 'rows.timezone'])
    ~ ", " ~ zoned_instant('rows.creation_date', ['rows.timezone']) ~ ")" %}
{%- set booked_on = "(" ~ booked_at ~ " at time zone 'UTC')::date" %}
with files as (

    select * from {{ ref('stg_raw__files') }}
    where source = 'adyen_settlement'

),

units as (
{{ declared_units('adyen_settlement', 'items', sign='debit_credit_columns') }}

),

events as (

    select * from {{ ref('stg_raw__canonical_events') }}
    where source = 'adyen_settlement'

),

-- Adyen gives a row no id of its own. Few rows of a file share all that makes one: fees of one text, instalments, two equal payments.
repeated as (

    select rows.file_id, {{ row_id }} as row_id
    from {{ source('raw', 'adyen_settlement_items') }} as rows
    inner join files
        on rows.file_id = files.file_id
    group by rows.file_id, {{ row_id }}
    having count(*) > 1

),

-- Told apart by what they say and not by where they stand: a report made again may have them in another order. Which is which of two
-- that say the same does not matter.
numbered as (

    select
        rows.file_id,
        rows.ordinal,
        row_number() over (
            partition by rows.file_id, repeated.row_id
            order by
                rows.creation_date,
                rows.net_currency,
                rows.net_credit_nc,
                rows.net_debit_nc,
                rows.gross_currency,
                rows.gross_credit_gc,
                rows.gross_debit_gc,
                rows.merchant_reference,
                rows.ordinal
        ) as occurrence
    from {{ source('raw', 'adyen_settlement_items') }} as rows
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
        rows.merchant_account,
        rows.batch_number,
        {{ row_id }} || coalesce(':' || nullif(numbered.occurrence, 1), '') as psp_transaction_id,
        nullif(rows.psp_reference, '') as psp_reference,
        nullif(rows.modification_reference, '') as modification_reference,
        coalesce(nullif(rows.merchant_reference, ''), nullif(rows.merchant_order_reference, '')) as merchant_reference,
        nullif(rows.modification_merchant_reference, '') as modification_merchant_reference,

        ---------- kinds
        rows.type as provider_type,
        events.event,
        nullif(rows.payment_method, '') as payment_method,

        ---------- amounts
        {{ declared_currency('rows.net_currency') }} as currency,
        units.scale,
        rows.psp_reference <> ''
        and coalesce(nullif(rows.gross_debit_gc, ''), nullif(rows.gross_credit_gc, '')) is not null
        and events.event is distinct from 'fee' as has_gross,
        {{ declared_currency('rows.gross_currency') }} <> {{ declared_currency('rows.net_currency') }} as is_converted,
        {{ minor_by_columns('rows.gross_debit_gc', 'rows.gross_credit_gc') }} as unconverted_minor,
        ({{ amount.format('gross_credit_gc') }} - {{ amount.format('gross_debit_gc') }})
        * {{ amount.format('exchange_rate') }} * units.scale as converted,
        -- The parts, else Adyen's own sum of them.
        coalesce(
            nullif(
                {{ amount.format('commission_nc') }} + {{ amount.format('markup_nc') }} + {{ amount.format('scheme_fees_nc') }}
                + {{ amount.format('interchange_nc') }},
                0
            ),
            nullif({{ amount.format('payment_fees_nc') }}, 0),
            {{ amount.format('gross_fees_nc') }}
        ) * units.scale as fees,
        {{ minor_by_columns('rows.net_debit_nc', 'rows.net_credit_nc') }} as net_minor,

        ---------- dates
        {{ booked_on }} as booked_on
    from {{ source('raw', 'adyen_settlement_items') }} as rows
    inner join files
        on rows.file_id = files.file_id
    left join numbered
        on rows.file_id = numbered.file_id
        and rows.ordinal = numbered.ordinal
    left join units
        on {{ declared_currency('rows.net_currency') }} = units.code
    left join events
        on rows.type = events.type
    where {{ booked_at }} < {{ pinned_until() }}
        and {{ is_not_replaced(booked_on) }}

),

-- The net is the truth, and the fee is what lies between it and the gross. Of a converted payment the report states no gross in this
-- currency: it is the net with the stated fees, which may be parts of a minor unit, or where those are not stated, what was converted.
grossed as (

    select
        typed.*,
        case
            when not typed.has_gross then typed.net_minor
            when not typed.is_converted then typed.unconverted_minor
            when abs(typed.converted - typed.fees - typed.net_minor) <= 1 then typed.net_minor + round(typed.fees)
            else round(typed.converted)
        end as gross_minor
    from typed

),

final as (

    select
        grossed.file_no,
        grossed.raw_row_id,
        grossed.document_at,
        grossed.row_sha256,
        grossed.provider,
        grossed.account,
        grossed.merchant_account,
        grossed.batch_number,
        grossed.psp_transaction_id,
        grossed.psp_reference,
        grossed.modification_reference,
        grossed.merchant_reference,
        grossed.modification_merchant_reference,
        grossed.merchant_account || ':' || grossed.batch_number || ':' || grossed.currency as payout_id,
        -- What came back says which batch's payout it was: an earlier one's, or its own's.
        case
            when grossed.event = 'payout_reversal'
                then grossed.merchant_account
                    || ':' || coalesce(substring(grossed.modification_reference from '(?i)\mbatch +(\d+)'), grossed.batch_number)
                    || ':' || grossed.currency
        end as returned_payout_id,
        substring(upper(grossed.modification_reference) from '\mTX[0-9A-Z]+XT\M') as transfer_number,
        grossed.provider_type,
        grossed.event,
        grossed.payment_method,
        grossed.currency,
        grossed.gross_minor,
        grossed.gross_minor - grossed.net_minor as fee_minor,
        grossed.net_minor,
        grossed.booked_on
    from grossed

)

select * from final
