-- One row per file of a provider's feed, or statement of a bank account, that begins within the run: the days that it covers.
-- What covers nothing, because it has no row and was landed without an interval, says nothing about any day.
with totals as (

    select totals.file_no, count(*) filter (where not totals.passed) as failed
    from {{ ref('stg_raw__control_totals') }} as totals
    group by totals.file_no

),

reports as (

    select
        files.source,
        files.account,
        files.record_type,
        '' as currency,
        files.carries,
        files.provider,
        files.account as landed_account,
        files.file_no,
        files.covers_from,
        files.covers_to,
        least(files.covers_from, files.rows_from) as reaches_from,
        null::numeric as opening_minor,
        null::numeric as closing_minor,
        null::bigint as sequence
    from {{ ref('stg_raw__files') }} as files
    where files.kind = 'psp'
        and files.covers_from is not null
        and least(files.covers_from, files.rows_from) <= {{ pinned('as_of') }}

),

-- A bank account has one feed, in whatever formats it came: it is called by the source of its latest statement.
accounts as (

    select distinct on (statements.account_iban, statements.currency)
        statements.account_iban,
        statements.currency,
        statements.source
    from {{ ref('int_bank_statements') }} as statements
    order by statements.account_iban, statements.currency, statements.stated_on desc, statements.source

),

statements as (

    select
        accounts.source,
        statements.account_iban as account,
        'statements' as record_type,
        statements.currency,
        'bank' as carries,
        null::text as provider,
        min(statements.bank_account) as landed_account,
        min(statements.file_no) as file_no,
        min(coalesce(statements.starts_on, statements.opening_on, statements.stated_on)) as covers_from,
        max(statements.stated_on) as covers_to,
        min(coalesce(statements.starts_on, statements.opening_on, statements.stated_on)) as reaches_from,
        (array_agg(statements.opening_minor order by statements.page))[1] as opening_minor,
        (array_agg(statements.closing_minor order by statements.page desc))[1] as closing_minor,
        min(statements.statement_no)::bigint as sequence
    from {{ ref('int_bank_statements') }} as statements
    inner join accounts
        on statements.account_iban = accounts.account_iban
        and statements.currency = accounts.currency
    group by
        accounts.source,
        statements.account_iban,
        statements.currency,
        statements.statement_no

),

spans as (

    select * from reports
    union all
    select * from statements

),

final as (

    select
        spans.source,
        spans.account,
        spans.record_type,
        spans.currency,
        spans.carries,
        spans.provider,
        spans.landed_account,
        spans.file_no,
        greatest(spans.covers_from, spans.reaches_from) as covers_from,
        spans.covers_to as ends_on,
        -- Of the days after the run's own nothing is known, whatever the file holds.
        least(greatest(spans.covers_to, spans.reaches_from), {{ pinned('as_of') }}) as covers_to,
        spans.reaches_from,
        spans.opening_minor,
        spans.closing_minor,
        spans.sequence,
        coalesce(totals.failed, 0) as failed
    from spans
    left join totals
        on spans.file_no = totals.file_no

)

select * from final
