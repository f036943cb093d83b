-- One row per journal entry that takes no part: reversed, or the reversal of an entry that is inside the cut as well.
-- Reversing a reversal restores the entry below it, so each chain is walked from its top: every odd step is undone.
with recursive
reversals as (

    select entries.seq, entries.entry_id, entries.reverses
    from {{ ref('stg_ledger__entries') }} as entries
    where entries.reverses is not null

),

chain as (

    select reversals.reverses as entry_id, 1 as height
    from reversals
    where not exists (select 1 from reversals as upper_one where upper_one.reverses = reversals.entry_id)

    union all

    select reversals.reverses as entry_id, chain.height + 1 as height
    from chain
    inner join reversals
        on chain.entry_id = reversals.entry_id

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
