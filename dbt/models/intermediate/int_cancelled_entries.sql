-- One row per journal entry that takes no part: reversed, or the reversal of an entry that is inside the cut as well.
-- Reversing a reversal restores the entry below it, so each chain is walked from its top: every odd step is undone.
with recursive
reversals as (

    select * from {{ ref('int_reversals') }}

),

chain as (

    select reversals.reverses as entry_id, 1 as height
    from reversals
    where not exists (select 1 from reversals as upper_one where upper_one.reverses = reversals.entry_id)

    union all

    -- By the index, one entry at a time: a chain of any length costs its length.
    select lower_one.reverses as entry_id, chain.height + 1 as height
    from chain
    cross join lateral (
        select found.reverses
        from {{ ref('int_reversals') }} as found
        where found.entry_id = chain.entry_id
        offset 0
    ) as lower_one

),

undone as (

    select entries.seq
    from {{ ref('stg_ledger__entries') }} as entries
    inner join chain
        on entries.entry_id = chain.entry_id
    where chain.height % 2 = 1

),

cancelling as (

    select reversals.seq
    from reversals
    inner join {{ ref('stg_ledger__entries') }} as entries
        on reversals.reverses = entries.entry_id

),

final as (

    select undone.seq from undone
    union
    select cancelling.seq from cancelling

)

select * from final
