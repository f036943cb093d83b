-- One row per account of a day inside the pin and the cut.
with files as (

    select * from {{ ref('stg_raw__files') }}
    where source = 'bai2'

),

units as (
{{ declared_units('bai2', 'statements', sign='dr_cr') }}

),

final as (

    select
        ---------- place
        files.source,
        files.file_no,
        rows.ordinal as statement_ordinal,

        ---------- ids
        files.account as bank_account,
        coalesce(nullif(rows.originator, ''), rows.sender, '') as servicer,
        rows.account_iban,
        rows.statement_id,
        null::bigint as electronic_sequence,
        null::bigint as legal_sequence,
        {{ instant_of('rows.created_at') }} as created_at,
        null::timestamptz as message_created_at,
        false as is_copy,
        1 as page,
        true as is_last_page,

        ---------- amounts, which carry their own sign
        {{ declared_currency('rows.currency') }} as currency,
        {{ minor_signed('rows.opening_amount', may_be_empty=true) }} as opening_minor,
        {{ minor_signed('rows.closing_amount', may_be_empty=true) }} as closing_minor,

        ---------- dates
        rows.as_of_on::date as starts_on,
        rows.as_of_on::date as opening_on,
        rows.as_of_on::date as closing_on,
        rows.as_of_on::date as stated_on
    from {{ source('raw', 'bai2_statements') }} as rows
    inner join files
        on rows.file_id = files.file_id
    left join units
        on {{ declared_currency('rows.currency') }} = units.code
    where rows.as_of_on::date <= {{ pinned('as_of') }}

)

select * from final
