-- One row per reason for which bank statements leave a run incomplete: of a statement that does not hold together, and of one that
-- does not continue the one before it. Only what counts and ends inside the cut is asked.
with pages as (

    select * from {{ ref('int_bank_statements') }}

),

currencies as (

    select * from {{ ref('currencies') }}

),

totals as (

    select totals.*
    from {{ ref('stg_raw__control_totals') }} as totals
    where not totals.passed
        and totals.source in (
            select sources.source from {{ ref('stg_raw__sources') }} as sources where sources.kind = 'bank'
        )

),

statements as (

    select
        pages.source,
        pages.bank_account,
        pages.account_iban,
        pages.currency,
        pages.statement_no,
        max(pages.stated_on) as stated_on,
        min(pages.starts_on) as starts_on,
        max(pages.made_at) as made_at,
        min(pages.page) as first_page,
        max(pages.page) as last_page,
        count(*) as pages,
        bool_or(pages.is_last_page) as is_ended,
        (array_agg(pages.opening_minor order by pages.page))[1] as opening_minor,
        (array_agg(pages.closing_minor order by pages.page desc))[1] as closing_minor,
        pages.account_iban || ' ' || pages.currency || ' ' || max(pages.stated_on) as subject
    from pages
    group by pages.source, pages.bank_account, pages.account_iban, pages.currency, pages.statement_no

),

-- A total is of one statement of its file, where it names one; that statement must still count.
failed_totals as (

    select distinct
        'control_total' as kind,
        totals.source,
        totals.account,
        totals.file_name || ': ' || totals.name || ' ' || totals.subject as subject,
        case totals.name
            when 'balance' then
                'opening balance and booked entries make ' || totals.actual || ' ' || pages.currency
                || ', and the closing balance says ' || totals.expected || ' ' || pages.currency
            else 'the bank states ' || totals.expected || ', and its entries make ' || totals.actual
        end
        || ': fetch the statement again; if it says the same, ask the bank' as detail
    from totals
    inner join pages
        on totals.file_no = pages.file_no
        and coalesce(substring(totals.subject from '^(\d{1,9}):')::integer, pages.statement_ordinal) = pages.statement_ordinal
    where totals.expected is not null
        and totals.actual is not null

),

without_balance as (

    select
        'statement_balance' as kind,
        statements.source,
        statements.bank_account as account,
        statements.subject,
        case
            when statements.opening_minor is null and statements.closing_minor is null
                then 'states neither opening nor closing balance'
            when statements.opening_minor is null then 'states no opening balance'
            else 'states no closing balance'
        end
        || ', so that nothing proves its lines complete: ask the bank for statements with both' as detail
    from statements
    where statements.opening_minor is null or statements.closing_minor is null

),

missing_pages as (

    select
        'statement_page' as kind,
        statements.source,
        statements.bank_account as account,
        statements.subject,
        case
            when statements.first_page > 1 then 'begins with page ' || statements.first_page
            when statements.pages < statements.last_page
                then statements.pages || ' pages are here, and the last is page ' || statements.last_page
            else 'page ' || statements.last_page || ' is not the last, and no other followed'
        end
        || ': fetch the whole statement again, and ingest what is missing' as detail
    from statements
    where statements.first_page > 1
        or statements.pages < statements.last_page
        or not statements.is_ended

),

paged as (

    select
        pages.*,
        lag(pages.closing_minor) over of_statement as page_before_closed_minor,
        lag(pages.page) over of_statement as page_before
    from pages
    window of_statement as (partition by pages.statement_no order by pages.page)

),

unlinked_pages as (

    select
        'statement_page' as kind,
        paged.source,
        paged.bank_account as account,
        paged.account_iban || ' ' || paged.currency || ' ' || paged.stated_on as subject,
        'page ' || paged.page || ' opens with ' || {{ amount_shown('paged.opening_minor') }}
        || ' ' || paged.currency || ' after a page that ends with ' || {{ amount_shown('paged.page_before_closed_minor') }}
        || ' ' || paged.currency || ': fetch the whole statement again' as detail
    from paged
    inner join currencies
        on paged.currency = currencies.code
    where paged.page = paged.page_before + 1
        and paged.opening_minor <> paged.page_before_closed_minor
        -- Some banks repeat the balances of the whole statement on each of its pages.
        and (paged.opening_minor, paged.closing_minor) is distinct from (
            select (whole.opening_minor, whole.closing_minor) from statements as whole where whole.statement_no = paged.statement_no
        )

),

following as (

    select
        statements.*,
        lag(statements.closing_minor) over earlier as before_closing_minor,
        lag(statements.stated_on) over earlier as before_stated_on
    from statements
    window earlier as (
        partition by statements.account_iban, statements.currency
        order by statements.stated_on, statements.starts_on, statements.made_at, statements.statement_no
    )

),

unlinked as (

    select
        case
            when following.starts_on < following.before_stated_on then 'statement_overlap'
            else 'statement_balance'
        end as kind,
        following.source,
        following.bank_account as account,
        following.subject,
        'opens with ' || {{ amount_shown('following.opening_minor') }} || ' ' || following.currency || ' after a closing balance of '
        || {{ amount_shown('following.before_closing_minor') }} || ' ' || following.currency || ' on ' || following.before_stated_on
        || case
            when following.starts_on < following.before_stated_on
                then ': its days were stated before; ask the bank which of the two statements holds'
            else ': a statement between them is missing, or one of them was corrected; fetch it from the bank'
        end as detail
    from following
    inner join currencies
        on following.currency = currencies.code
    where following.opening_minor <> following.before_closing_minor

),

-- Two deliveries made at one instant that say different things: which one is right, nobody can tell.
contradicted as (

    select distinct
        'statement_overlap' as kind,
        pages.source,
        pages.bank_account as account,
        pages.account_iban || ' ' || pages.currency || ' ' || pages.stated_on as subject,
        'was delivered twice with one creation time and different content: ask the bank which one holds, and for a newer copy of it' as detail
    from pages
    inner join {{ ref('int_bank_deliveries') }} as counted
        on pages.file_no = counted.file_no
        and pages.statement_ordinal = counted.statement_ordinal
    inner join {{ ref('int_bank_deliveries') }} as others
        on pages.statement_no = others.statement_no
        and pages.page = others.page
        and pages.is_last_page = others.is_last_page
        and counted.made_at = others.made_at
        and counted.sent_at = others.sent_at
    where not others.is_current
        and others.replaced_because = 'delivered_again'
        and (counted.opening_minor, counted.closing_minor, counted.movements)
        is distinct from (others.opening_minor, others.closing_minor, others.movements)

),

final as (

    select * from failed_totals
    union all
    select * from without_balance
    union all
    select * from missing_pages
    union all
    select * from unlinked_pages
    union all
    select * from unlinked
    union all
    select * from contradicted
    union all
    select gaps.kind, gaps.source, gaps.account, gaps.subject, gaps.detail from {{ ref('int_bank_number_gaps') }} as gaps

)

select * from final
