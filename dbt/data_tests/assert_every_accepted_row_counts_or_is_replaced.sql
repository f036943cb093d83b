-- Whatever a provider's file brought is in the run, or names what replaced it: rows that staging reads become an item, and a file
-- that the run does not read at all is replaced, on every day it covers, by files that the run holds.
with items as (

    select * from {{ ref('int_psp_items') }}

),

landed as not materialized (
{{ union_of('psp_items') }}
),

-- Two counts say whether any row is lost; only then is each looked for, which costs as much as making the items did.
counted as (

    select
        (select coalesce(sum(items.landed_rows), 0) from items) as standing_rows,
        (select count(*) from landed) as landed_rows

),

lost_rows as (

    select landed.psp_transaction_id as what
    from landed
    where (select counted.standing_rows <> counted.landed_rows from counted)
        and not exists (
            select 1 from items
            where items.psp_transaction_id = landed.psp_transaction_id
                and items.provider = landed.provider
                and items.account = landed.account
        )

    union all

    select counted.landed_rows || ' rows landed, ' || counted.standing_rows || ' stand for an item' as what
    from counted
    where counted.standing_rows <> counted.landed_rows

),

replaced as (

    select
        replacements.older_id,
        range_agg(daterange(replacements.first_on, replacements.last_on, '[]')) as days
    from {{ source('raw', 'file_replacements') }} as replacements
    inner join {{ source('recon', 'pin_files') }} as pin_files
        on replacements.newer_id = pin_files.file_id
        and pin_files.target_schema = '{{ target.schema }}'
    group by replacements.older_id

),

lost_files as (

    select current_files.name as what
    from {{ source('recon', 'pin_files') }} as pin_files
    inner join {{ source('raw', 'current_files') }} as current_files
        on pin_files.file_id = current_files.file_id
    left join replaced
        on pin_files.file_id = replaced.older_id
    where pin_files.target_schema = '{{ target.schema }}'
        and pin_files.file_no not in (select files.file_no from {{ ref('stg_raw__files') }} as files)
        and not (
            datemultirange(daterange(current_files.covers_from, current_files.covers_to, '[]')) <@ coalesce(replaced.days, '{}')
        )

)

select lost_rows.what from lost_rows
union all
select lost_files.what from lost_files
