-- One row per statement (or page of one) inside the pin that begins inside the cut.
with files as (

    select * from {{ ref('stg_raw__files') }}
    where source = 'camt053'

),

units as (
{{ declared_units('camt053', 'statements', sign='dr_cr') }}

),

stated as (

    select
        ---------- place
        files.source,
        files.file_no,
        rows.ordinal as statement_ordinal,

        ---------- ids
        files.account as bank_account,
        coalesce(rows.extra ->> 'servicer', '') as servicer,
        -- One account, however its number is grouped.
        upper(regexp_replace(rows.account_iban, '\s', '', 'g')) as account_iban,
        rows.statement_id,
        nullif(rows.electronic_sequence, '')::bigint as electronic_sequence,
        nullif(rows.legal_sequence, '')::bigint as legal_sequence,
        {{ instant_of('rows.created_at') }} as created_at,
        {{ instant_of("(rows.extra ->> 'message_created_at')") }} as message_created_at,
        rows.extra ->> 'copy_duplicate' is not null as is_copy,
        coalesce(nullif(rows.page, ''), '1')::integer as page,
        coalesce(nullif(rows.is_last_page, ''), 'true') in ('true', '1') as is_last_page,

        ---------- amounts
        {{ declared_currency('rows.currency') }} as currency,
        -- A balance without its side is a credit.
        {{ minor_by_indicator('rows.opening_amount', "coalesce(rows.opening_indicator, 'CRDT')", 'camt053', 'statements') }} as opening_minor,
        {{ minor_by_indicator('rows.closing_amount', "coalesce(rows.closing_indicator, 'CRDT')", 'camt053', 'statements') }} as closing_minor,

        ---------- dates
        left(nullif(rows.from_at, ''), 10)::date as from_on,
        {{ last_day_until('rows.to_at') }} as to_on,
        left(nullif(rows.opening_on, ''), 10)::date as opening_on,
        left(nullif(rows.closing_on, ''), 10)::date as closing_on
    from {{ source('raw', 'camt053_statements') }} as rows
    inner join files
        on rows.file_id = files.file_id
    left join units
        on {{ declared_currency('rows.currency') }} = units.code

),

dated as (

    select
        stated.*,
        coalesce(stated.from_on, stated.opening_on, stated.closing_on, stated.to_on, (stated.created_at at time zone 'UTC')::date) as starts_on,
        -- An interim balance says nothing about the end of the statement whose page it closes.
        case
            when stated.is_last_page
                then coalesce(stated.closing_on, stated.to_on, stated.opening_on, stated.from_on, (stated.created_at at time zone 'UTC')::date)
            else coalesce(stated.to_on, stated.closing_on, stated.opening_on, stated.from_on, (stated.created_at at time zone 'UTC')::date)
        end as stated_on
    from stated

),

final as (

    select
        dated.source,
        dated.file_no,
        dated.statement_ordinal,
        dated.bank_account,
        dated.servicer,
        dated.account_iban,
        dated.statement_id,
        dated.electronic_sequence,
        dated.legal_sequence,
        dated.created_at,
        dated.message_created_at,
        dated.is_copy,
        dated.page,
        dated.is_last_page,
        dated.currency,
        dated.opening_minor,
        dated.closing_minor,
        dated.starts_on,
        dated.opening_on,
        dated.closing_on,
        dated.stated_on
    from dated
    where least(dated.starts_on, dated.stated_on) <= {{ pinned('as_of') }}

)

select * from final
