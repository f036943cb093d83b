-- One row per statement (or page of one) inside the pin that begins inside the cut.
with files as (

    select * from {{ ref('stg_raw__files') }}
    where source = 'mt940'

),

units as (
{{ declared_units('mt940', 'statements', sign='dr_cr') }}

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
        rows.account_iban,
        rows.statement_id,
        nullif(rows.sequence, '')::bigint as electronic_sequence,
        {{ instant_of('rows.created_at') }} as created_at,
        coalesce(nullif(rows.page, ''), '1')::integer as page,
        coalesce(nullif(rows.is_last_page, ''), 'true') = 'true' as is_last_page,

        ---------- amounts
        {{ declared_currency('rows.currency') }} as currency,
        {{ minor_by_indicator(with_point('rows.opening_amount'), 'rows.opening_indicator', 'mt940', 'statements') }} as opening_minor,
        {{ minor_by_indicator(with_point('rows.closing_amount'), 'rows.closing_indicator', 'mt940', 'statements') }} as closing_minor,

        ---------- dates
        nullif(rows.opening_on, '')::date as opening_on,
        nullif(rows.closing_on, '')::date as closing_on,
        nullif(rows.entered_from, '')::date as entered_from,
        nullif(rows.ends_on, '')::date as ends_on
    from {{ source('raw', 'mt940_statements') }} as rows
    inner join files
        on rows.file_id = files.file_id
    left join units
        on {{ declared_currency('rows.currency') }} = units.code

),

dated as (

    select
        stated.*,
        -- An opening balance is of the evening before, or of the first day itself.
        least(
            case when stated.opening_on < stated.closing_on then stated.opening_on + 1 else coalesce(stated.opening_on, stated.closing_on) end,
            stated.entered_from
        ) as starts_on,
        -- Where the file holds the page with which the statement ends its day is that of every page.
        coalesce(stated.ends_on, stated.closing_on, stated.opening_on) as stated_on
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
        null::bigint as legal_sequence,
        dated.created_at,
        null::timestamptz as message_created_at,
        false as is_copy,
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
