-- One row per booked line of a statement inside the pin and the cut. What is announced (EC, ED) has not happened yet.
with files as (

    select * from {{ ref('stg_raw__files') }}
    where source = 'mt940'

),

units as (
{{ declared_units('mt940', 'lines', sign='dr_cr') }}

),

-- The days of a statement: an entry without a day of its own is of one of them, whatever its day of value.
days as (

    select
        rows.file_id,
        rows.ordinal as statement_ordinal,
        nullif(rows.opening_on, '')::date as opening_on,
        nullif(rows.closing_on, '')::date as closing_on
    from {{ source('raw', 'mt940_statements') }} as rows

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
        null::text as transaction_id,
        {{ without_placeholder('rows.structured_reference') }} as structured_reference,
        {{ without_placeholder('rows.bank_reference') }} as account_servicer_reference,
        case
            -- What only points into `:86:` is no reference.
            when rows.customer_reference !~ '^(EREF|KREF|MREF|PREF|MARF|CREF)[+]?$'
                then {{ without_placeholder('rows.customer_reference') }}
        end as entry_reference,

        ---------- texts
        coalesce(rows.remittance, '') as remittance,
        coalesce(rows.counterparty_name, '') as counterparty_name,
        coalesce(rows.additional_info, '') as additional_info,
        rows.extra as texts,

        ---------- amounts
        {{ declared_currency('rows.currency') }} as currency,
        {{ minor_by_indicator(with_point('rows.amount'), 'rows.indicator', 'mt940', 'lines') }} as amount_minor,
        rows.mark in ('RC', 'RD') as is_reversal,

        ---------- dates
        booked.booked_on,
        nullif(rows.value_on, '')::date as value_on
    from {{ source('raw', 'mt940_lines') }} as rows
    inner join files
        on rows.file_id = files.file_id
    inner join days
        on rows.file_id = days.file_id
        and rows.statement_ordinal = days.statement_ordinal
    cross join lateral (
        select coalesce(
            nullif(rows.booked_on, '')::date,
            greatest(least(nullif(rows.value_on, '')::date, days.closing_on), days.opening_on)
        ) as booked_on
    ) as booked
    left join units
        on {{ declared_currency('rows.currency') }} = units.code
    where rows.mark not in ('EC', 'ED')
        and booked.booked_on <= {{ pinned('as_of') }}

)

select * from final
