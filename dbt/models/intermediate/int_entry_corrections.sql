-- One row per adjustment that counts towards the entry it corrects: it has no reference of its own, or the same one.
with recursive
cancelled as (

    select * from {{ ref('int_cancelled_entries') }}

),

adjustments as (

    select entries.seq, entries.entry_id, entries.corrects, entries.metadata_reference
    from {{ ref('stg_ledger__entries') }} as entries
    where entries.corrects is not null
        and not exists (select 1 from cancelled where cancelled.seq = entries.seq)

),

corrected as (

    select entries.seq, entries.entry_id, entries.metadata_reference
    from {{ ref('stg_ledger__entries') }} as entries
    where entries.entry_id in (select adjustments.corrects from adjustments)
        and not exists (select 1 from cancelled where cancelled.seq = entries.seq)

),

links as (

    select adjustments.seq, adjustments.entry_id, corrected.seq as corrected_seq, corrected.entry_id as corrected_id
    from adjustments
    inner join corrected
        on adjustments.corrects = corrected.entry_id
    where adjustments.metadata_reference is null
        or adjustments.metadata_reference = corrected.metadata_reference

),

-- An adjustment of an adjustment counts towards the first entry.
walk as (

    select links.seq, links.corrected_seq as root_seq, links.corrected_id as root_id
    from links

    union all

    select walk.seq, links.corrected_seq as root_seq, links.corrected_id as root_id
    from walk
    inner join links
        on walk.root_id = links.entry_id

),

final as (

    select walk.seq, min(walk.root_seq) as root_seq
    from walk
    group by walk.seq

)

select * from final
