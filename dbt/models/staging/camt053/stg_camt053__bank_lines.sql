-- One row per booked line of a statement inside the pin and the cut. What is pending at the bank has not happened yet.
with files as (

    select * from {{ ref('stg_raw__files') }}
    where source = 'camt053'

),

units as (
{{ declared_units('camt053', 'lines', sign='dr_cr') }}

),

final as (

    select
        ---------- place
        files.file_no,
        rows.statement_ordinal,
        rows.entry_ordinal,
        files.file_no::bigint * 4294967296 + rows.ordinal as bank_line_id,

        ---------- ids
        {{ without_placeholder('rows.end_to_end_id') }} as end_to_end_id,
        {{ without_placeholder('rows.instruction_id') }} as instruction_id,
        {{ without_placeholder('rows.transaction_id') }} as transaction_id,
        {{ without_placeholder('rows.structured_reference') }} as structured_reference,
        {{ without_placeholder('rows.account_servicer_reference') }} as account_servicer_reference,
        {{ without_placeholder('rows.entry_reference') }} as entry_reference,

        ---------- texts
        coalesce(rows.remittance, '') as remittance,
        coalesce(rows.counterparty_name, '') as counterparty_name,
        coalesce(rows.additional_info, '') as additional_info,
        rows.extra as texts,

        ---------- amounts
        {{ declared_currency('rows.currency') }} as currency,
        {{ minor_by_indicator('rows.amount', 'rows.indicator', 'camt053', 'lines') }} as amount_minor,
        coalesce(rows.is_reversal in ('true', '1'), false) as is_reversal,

        ---------- dates
        left(coalesce(nullif(rows.booked_on, ''), nullif(rows.value_on, '')), 10)::date as booked_on,
        left(coalesce(nullif(rows.value_on, ''), nullif(rows.booked_on, '')), 10)::date as value_on
    from {{ source('raw', 'camt053_lines') }} as rows
    inner join files
        on rows.file_id = files.file_id
    left join units
        on {{ declared_currency('rows.currency') }} = units.code
    where rows.status = 'BOOK'
        and left(coalesce(nullif(rows.booked_on, ''), nullif(rows.value_on, '')), 10)::date <= {{ pinned('as_of') }}

)

select * from final
