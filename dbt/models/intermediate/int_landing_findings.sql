-- One row per reason for which what landed is not all there is: rows put aside, files refused, documents that contradict each other.
with files as (

    select * from {{ ref('stg_raw__files') }}

),

-- A row is no more missing once another file brings it: the same id, or for a bank the statement.
aside as (

    select quarantine.*
    from {{ ref('stg_raw__quarantine') }} as quarantine
    where coalesce(quarantine.dated_on, quarantine.covers_from::text, '') <= {{ pinned('as_of') }}::text
        and not exists (
            select 1 from {{ ref('int_psp_items') }} as items
            where items.psp_transaction_id = quarantine.row_id
                and items.provider = quarantine.provider
                and items.account = quarantine.account
        )
        and (
            quarantine.kind is distinct from 'bank'
            or quarantine.file_no in (select statements.file_no from {{ ref('int_bank_statements') }} as statements)
        )

),

-- By what people call the file, not by its number: of two of one name and day each is found by its line.
rows_put_aside as (

    select
        'rows_put_aside' as kind,
        aside.source,
        aside.account,
        aside.file_name || coalesce(' of ' || aside.covers_from, '') as subject,
        'rows put aside: ' || count(*) || ', the first at line ' || min(aside.line) || ': '
        || (array_agg(aside.reason order by aside.line, aside.reason))[1]
        || ' Have the source correct them, then ingest the new file.' as detail
    from aside
    group by aside.source, aside.account, aside.file_name, aside.covers_from

),

-- Whatever a refused file would have said is there once its bytes are read, under whatever source and account, or once a file of
-- its kind covers its days. Of a file whose days nobody could read, its name is all there is to know it by: it may speak of any day.
refused as (

    select refused.*
    from {{ ref('stg_raw__refused_files') }} as refused
    where (refused.first_on is null or refused.first_on <= {{ pinned('as_of') }})
        and not exists (
            select 1 from files
            where files.content_hmac = refused.content_hmac
        )
        and not exists (
            select 1 from files
            where files.source = refused.source
                and files.account = refused.account
                and files.record_type = coalesce(refused.record_type, files.record_type)
                and (
                    (files.covers_from <= refused.first_on and files.covers_to >= refused.last_on)
                    or (files.name = refused.name and files.received_at > refused.rejected_at)
                )
        )

),

files_refused as (

    select distinct
        'file_refused' as kind,
        refused.source,
        refused.account,
        refused.name as subject,
        refused.reason as detail
    from refused

),

item_conflicts as (

    select
        'item_conflict' as kind,
        items.provider as source,
        items.account,
        items.psp_transaction_id as subject,
        'documents of one time give it unequal amounts, and nothing says which is right: '
        || 'have the provider make the report again, and ingest it' as detail
    from {{ ref('int_psp_items') }} as items
    where items.is_contradicted

    union all

    select
        'item_conflict' as kind,
        payouts.provider as source,
        payouts.account,
        payouts.payout_id as subject,
        'documents of one time give the payout unequal amounts, and nothing says which is right: '
        || 'have the provider make the report again, and ingest it' as detail
    from {{ ref('int_psp_payouts') }} as payouts
    left join {{ ref('int_psp_items') }} as items
        on payouts.psp_transaction_id = items.psp_transaction_id
        and payouts.provider = items.provider
        and payouts.account = items.account
    where payouts.is_contradicted
        and items.is_contradicted is not true

),

final as (

    select * from rows_put_aside
    union all
    select * from files_refused
    union all
    select * from item_conflicts

)

select * from final
