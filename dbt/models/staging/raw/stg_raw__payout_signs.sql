-- One row per report of payouts inside the pin: the sign in which it writes them, 1 as they reach the bank, -1 as they move the
-- balance. A fact of the file, whatever of it lies inside the cut. What says it, the best first: its payouts against the sums of
-- their items, to the unit, then by sign alone; a payout with a fee; the same report's other files of the account; most of its money.
with files as (

    select * from {{ ref('stg_raw__files') }}
    where payouts_sign_by_sum is not null

),

items_files as (

    select files.file_id from {{ ref('stg_raw__files') }} as files

),

compared as (

    select
        signs.file_id,
        sign(sum(signs.exact_same) - sum(signs.exact_opposite)) as by_sum_of_items,
        sign(sum(signs.near_same) - sum(signs.near_opposite)) as by_sign_of_items
    from {{ source('raw', 'payout_signs') }} as signs
    where signs.items_file_id in (select items_files.file_id from items_files)
    group by signs.file_id

),

said as (

    select
        files.file_no,
        files.source,
        files.account,
        files.record_type,
        files.payouts_sign_by_sum,
        coalesce(
            nullif(compared.by_sum_of_items, 0),
            nullif(compared.by_sign_of_items, 0),
            files.payouts_sign_by_fee
        ) as by_file
    from files
    left join compared
        on files.file_id = compared.file_id

),

final as (

    select
        said.file_no,
        coalesce(
            said.by_file,
            nullif(sign(sum(said.by_file) over (partition by said.source, said.account, said.record_type)), 0),
            said.payouts_sign_by_sum
        )::smallint as payouts_sign
    from said

)

select * from final
