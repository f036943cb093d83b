-- One row per adjustment that counts towards the entry it corrects: it has no reference of its own, or the same one.
-- Walked from the first entry upwards, each adjustment once; one that has another reference begins anew.
with recursive
links as (

    select * from {{ ref('int_correction_links') }}

),

roots as (

    select distinct links.corrected_seq, links.corrected_id, links.corrected_reference, links.corrected_external_id
    from links
    where not exists (select 1 from links as lower_one where lower_one.seq = links.corrected_seq)

),

walk as (

    select
        roots.corrected_seq as seq,
        roots.corrected_id as entry_id,
        roots.corrected_seq as root_seq,
        roots.corrected_reference as root_reference,
        roots.corrected_external_id as root_external_id
    from roots

    union all

    -- By the index, one entry at a time: a chain of any length costs its length.
    select
        upper_one.seq,
        upper_one.entry_id,
        case when upper_one.is_counted then walk.root_seq else upper_one.seq end as root_seq,
        case when upper_one.is_counted then walk.root_reference else upper_one.metadata_reference end as root_reference,
        case when upper_one.is_counted then walk.root_external_id end as root_external_id
    from walk
    cross join lateral (
        select
            found.seq,
            found.entry_id,
            found.metadata_reference,
            coalesce(found.metadata_reference in (walk.root_reference, walk.root_external_id), true) as is_counted
        from {{ ref('int_correction_links') }} as found
        where found.corrected_id = walk.entry_id
        offset 0
    ) as upper_one

),

final as (

    select walk.seq, walk.root_seq
    from walk
    where walk.root_seq <> walk.seq

)

select * from final
