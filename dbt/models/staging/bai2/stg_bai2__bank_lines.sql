-- One row per detail inside the pin and the cut that moves money. A remark (890) moves none.
with files as (

    select * from {{ ref('stg_raw__files') }}
    where source = 'bai2'

),

units as (
{{ declared_units('bai2', 'lines', sign='dr_cr') }}

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
        {{ without_placeholder('rows.customer_reference') }} as instruction_id,
        {{ without_placeholder('rows.trace_number') }} as transaction_id,
        null::text as structured_reference,
        {{ without_placeholder('rows.bank_reference') }} as account_servicer_reference,
        null::text as entry_reference,

        ---------- texts
        coalesce(rows.remittance, '') as remittance,
        coalesce(rows.counterparty_name, '') as counterparty_name,
        ''::text as additional_info,
        rows.extra as texts,

        ---------- amounts
        {{ declared_currency('rows.currency') }} as currency,
        {{ minor_by_indicator('rows.amount', 'rows.indicator', 'bai2', 'lines') }} as amount_minor,
        rows.type_code in ('252', '258', '395', '552', '558', '694') as is_reversal,

        ---------- dates
        rows.booked_on::date as booked_on,
        coalesce(nullif(rows.value_on, ''), rows.booked_on)::date as value_on
    from {{ source('raw', 'bai2_lines') }} as rows
    inner join files
        on rows.file_id = files.file_id
    left join units
        on {{ declared_currency('rows.currency') }} = units.code
    where rows.indicator <> ''
        and rows.booked_on::date <= {{ pinned('as_of') }}

)

select * from final
