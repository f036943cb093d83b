-- One row per statement (or page of one) inside the pin and the cut.
with files as (

    select * from {{ ref('stg_raw__files') }}
    where source = 'camt053'

),

units as (
{{ declared_units('camt053', 'statements', sign='dr_cr') }}

),

final as (

    select
        ---------- place
        files.source,
        files.file_no,
        rows.ordinal as statement_ordinal,
        files.received_at,
        rows.row_sha256,

        ---------- ids
        files.account as bank_account,
        rows.account_iban,
        rows.statement_id,
        nullif(rows.electronic_sequence, '')::bigint as electronic_sequence,
        coalesce(nullif(rows.page, ''), '1')::integer as page,
        coalesce(nullif(rows.is_last_page, ''), 'true') in ('true', '1') as is_last_page,

        ---------- amounts
        {{ declared_currency('rows.currency') }} as currency,
        -- A balance without its side is a credit.
        {{ minor_by_indicator('rows.opening_amount', "coalesce(rows.opening_indicator, 'CRDT')", 'camt053', 'statements') }} as opening_minor,
        {{ minor_by_indicator('rows.closing_amount', "coalesce(rows.closing_indicator, 'CRDT')", 'camt053', 'statements') }} as closing_minor,

        ---------- dates
        left(nullif(rows.opening_on, ''), 10)::date as opening_on,
        left(nullif(rows.closing_on, ''), 10)::date as closing_on
    from {{ source('raw', 'camt053_statements') }} as rows
    inner join files
        on rows.file_id = files.file_id
    left join units
        on {{ declared_currency('rows.currency') }} = units.code
    where left(coalesce(nullif(rows.closing_on, ''), nullif(rows.opening_on, ''), nullif(rows.to_at, ''), rows.created_at), 10)::date
        <= {{ pinned('as_of') }}

)

select * from final
